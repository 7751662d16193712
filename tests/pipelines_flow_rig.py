"""Pipelines as their users have them: a project with sources and targets on real servers, run, undone, and looked at from outside."""

from __future__ import annotations

import json
from contextlib import closing, suppress
from pathlib import Path

import duckdb
import psycopg

from datareeve.app import App
from datareeve.core.errors import DatareeveError

CANARY = "canary-7f3"  # planted in rows: no file of ours may hold it


class Project:
    """A project folder with an estate; pipelines are given as data."""

    def __init__(self, folder, systems, **estate):
        self.folder = Path(folder)
        (self.folder / "etl").mkdir(parents=True, exist_ok=True)
        self.systems = systems
        self.estate(**estate)
        self.app = App.open(self.folder)

    def estate(self, **more):
        (self.folder / "estate.yaml").write_text(json.dumps({"version": 1, "systems": self.systems, **more}))

    def close(self):
        self.app.close()

    def __enter__(self):
        return self

    def __exit__(self, *caught):
        self.close()

    def pipeline(self, name="p", *, target="there", **given):
        (self.folder / f"etl/{name}.yaml").write_text(json.dumps({"version": 1, "target": target, **given}))

    def plan(self, name="p", operation="pipelines.run", **inputs):
        return self.app.preview(self.app.catalogue.make(operation, {"pipeline": name, **inputs}))

    def run(self, name="p", operation="pipelines.run", **inputs):
        """The outcome; a plan that is blocked is an assertion."""
        plan = self.plan(name, operation, **inputs)
        assert not plan.blockers, plan.blockers
        return self.app.apply(plan, by="test", approved=True)

    def done(self, name="p", operation="pipelines.run", **inputs):
        outcome = self.run(name, operation, **inputs)
        assert outcome.status in ("done", "nothing to do"), said(outcome)
        return outcome

    def refused(self, name="p", **inputs):
        """All that is said where it does not come to a publication, as one text."""
        try:
            plan = self.plan(name, **inputs)
        except DatareeveError as error:
            return f"{error.code} {error}"
        if plan.blockers:
            return "; ".join(plan.blockers)
        outcome = self.app.apply(plan, by="test", approved=True)
        assert outcome.status not in ("done", "nothing to do"), said(outcome)
        return said(outcome)

    def undo(self, outcome):
        undone = self.app.undo(outcome.run, by="test")
        assert undone.status == "undone", said(undone)
        return undone

    def rows(self, sql, system="there"):
        """The rows of a statement, by a driver of its own."""
        given = self.systems[system]
        if given["kind"] == "duckdb":
            with duckdb.connect(str(self.folder / given["path"]), read_only=True) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                return connection.execute(sql).fetchall()
        if given["kind"] == "folder":
            with duckdb.connect() as connection:
                connection.execute("SET TimeZone = 'UTC'")
                show_dataset(connection, self.folder / given["path"])
                return connection.execute(sql).fetchall()
        with psycopg.connect(given["url"], options="-c TimeZone=UTC") as connection:
            return connection.execute(sql).fetchall()

    def bag(self, table, columns="*"):
        """The rows of a table as a sorted list: a multiset."""
        return sorted(self.rows(f"SELECT {columns} FROM {table}"), key=repr)

    def tables(self, schema=None):
        """The names of all tables and views that a reader sees."""
        default = "public" if self.systems["there"]["kind"] == "postgresql" else "main"
        found = self.rows(
            f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema or default}' ORDER BY 1"
        )
        return [str(row[0]) for row in found]

    def files_with(self, text):
        """The files of ours that hold a text: ledger, state, spool, logs; not the pipeline's own, nor its target."""
        found = []
        for file in self.folder.rglob("*"):
            if (
                file.is_file()
                and file.suffix not in (".duckdb", ".wal", ".parquet")
                and "etl" not in file.parts
            ):
                with suppress(OSError):
                    if text.encode() in file.read_bytes():
                        found.append(str(file))
        return found


def said(outcome) -> str:
    """Everything that an outcome says."""
    return f"{outcome.status}: {outcome.model_dump_json()}"


def source(url, *statements):
    """Something happens at a PostgreSQL source."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def show_dataset(connection, root):
    """The tables of a folder as views, read as docs/how-to/lakehouse.md tells any reader to: by the newest manifest."""
    found = connection.execute(
        f"SELECT name, CAST(content->'tables'->name->'files' AS VARCHAR[]) FROM (SELECT content, unnest(json_keys(content, '$.tables')) AS name "
        f"FROM (SELECT content FROM read_text('{root}/_datareeve/[0-9]*.json') ORDER BY filename DESC LIMIT 1))"
    ).fetchall()
    for name, files in found:
        listed = ", ".join(f"'{root}/{file}'" for file in files)
        connection.execute(f'CREATE VIEW "{name}" AS FROM read_parquet([{listed}])')


def target(kind, url=None):
    """The entry of a target in an estate."""
    if kind == "folder":
        return {"kind": "folder", "path": "there", "writable": True}
    return (
        {"kind": "duckdb", "path": "there.duckdb"} if kind == "duckdb" else {"kind": "postgresql", "url": url}
    )


def into(project, *statements):
    """A person works on the target."""
    given = project.systems["there"]
    if given["kind"] == "duckdb":
        with closing(duckdb.connect(str(project.folder / given["path"]))) as connection:
            for statement in statements:
                connection.execute(statement)
    else:
        source(given["url"], *statements)
