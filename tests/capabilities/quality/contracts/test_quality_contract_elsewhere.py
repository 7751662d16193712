"""A contract that is drafted on one engine is checked on the others, as it is; a folder's file is one table by whichever of its names."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import duckdb
import psycopg
import pytest

from datareeve.app import App
from datareeve.capabilities.quality import engines, report_facts
from datareeve.capabilities.quality.engines.places import choose, elsewhere

CREATE = (
    "CREATE TABLE customers (id integer PRIMARY KEY, email text NOT NULL, country text, created_at timestamp)",
    "CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer NOT NULL, total double precision, state text, placed_on date)",
)
ROWS = {
    "customers": [(n, f"p{n}@example.org", "DE" if n % 3 else "FR", f"2025-01-{1 + n % 28:02d} 10:{n % 60:02d}:{n * 7 % 60:02d}") for n in range(1, 301)],
    "orders": [(n, 1 + n * 13 % 300, n % 97 / 4, ("paid", "open", "sent")[n % 3], f"2025-02-{1 + n % 28:02d}") for n in range(1, 901)],
}  # fmt: skip


def fill(execute, mark):
    for statement in CREATE:
        execute(statement)
    for table, rows in ROWS.items():
        for row in rows:
            execute(f"INSERT INTO {table} VALUES ({', '.join([mark] * len(row))})", row)


def opened(folder, url=None, **more):
    systems = {
        **({"app": {"kind": "postgresql", "url": url}} if url else {}),
        "wh": {"kind": "duckdb", "path": "wh.duckdb"},
        "lite": {"kind": "sqlite", "path": "lite.sqlite"},
        "lake": {"kind": "folder", "path": "lake"},
    }
    estate = {"version": 1, "systems": systems, "authority": {"rules": [{"decision": "allow"}]}, **more}
    (folder / "estate.yaml").write_text(json.dumps(estate))
    return closing(App.open(folder))


@pytest.fixture
def project(tmp_path):
    """The same rows in DuckDB, SQLite and Parquet."""
    with closing(sqlite3.connect(tmp_path / "lite.sqlite")) as lite:
        fill(lite.execute, "?")
        lite.commit()
    (tmp_path / "lake").mkdir()
    with duckdb.connect(str(tmp_path / "wh.duckdb")) as wh:
        fill(wh.execute, "?")
        for table in ROWS:
            wh.execute(f"COPY {table} TO '{tmp_path}/lake/{table}.parquet'")
    return tmp_path


def planned(app, operation, **inputs):
    return app.preview(app.catalogue.make(operation, inputs))


BREAK = (
    "UPDATE orders SET customer_id = 100000 + id WHERE id % 100 = 0",
    "UPDATE orders SET state = 'lost' WHERE id % 70 = 1",
    "DELETE FROM orders WHERE id > 700",
)


def broken(project, url):
    """The same faults everywhere."""
    with psycopg.connect(url, autocommit=True) as connection, closing(sqlite3.connect(project / "lite.sqlite")) as lite, duckdb.connect(str(project / "wh.duckdb")) as wh:  # fmt: skip
        for statement in BREAK:
            for execute in (connection.execute, lite.execute, wh.execute):
                execute(statement)
        lite.commit()
        wh.execute(f"COPY orders TO '{project}/lake/orders.parquet'")


def verdicts(app, system):
    """What each rule says on a system, and how many rows break it; and the plan."""
    plan = planned(app, "quality.check-contract", contract="shop", system=system)
    app.apply(plan, by="a person", approved=True)
    told = app.systems["quality"].read("verdicts", contract="shop", system=system)
    return {one["rule"]: (one["says"], one["told"].get("failing") or 0) for one in told}, plan


@pytest.mark.parametrize("physical", ["", "public.", "shop.public."])
def test_a_contract_that_is_drafted_on_one_engine_is_checked_on_the_others(project, database, physical):
    with psycopg.connect(database, autocommit=True) as connection:
        fill(connection.execute, "%s")
    with opened(project, database) as app:
        app.apply(planned(app, "quality.propose-contract", system="app", contract="shop"), by="a person", approved=True)  # fmt: skip
        file = project / "contracts" / "shop.yaml"
        text = file.read_text("utf-8")
        assert "physicalName" not in text
        for table in ROWS if physical else ():  # as a person writes it, or an older draft did
            text = text.replace(
                f"- name: {table}\n", f"- name: {table}\n    physicalName: {physical}{table}\n"
            )
        file.write_text(text, "utf-8")
        assert text.count(f"physicalName: {physical}") == (2 if physical else 0)
        broken(project, database)
        home, _ = verdicts(app, "app")
        assert sorted(one for one in home.values() if one != ("pass", 0)) == [("fail", 0), ("fail", 7), ("fail", 10)]  # fmt: skip
        for system in ("wh", "lite", "lake"):
            found, plan = verdicts(app, system)
            assert found == home, system
            told = [one.what for one in plan.findings if one.rule == "table-by-its-name"]
            assert len(told) == (2 if physical else 0)


def test_a_schema_that_is_not_there_is_left_aside_where_one_table_has_the_name():
    wh = [("main", "customers"), ("staging", "customers"), ("main", "orders"), ("main", "lines")]
    given = ["public.customers", "sales.orders", "staging.lines", "sales.customers", "shop.public.lines"]
    assert choose(given, wh, prefer=("main",)) == {
        "public.customers": ("main", "customers"),  # the schema of tables that are given none, there as here
        "shop.public.lines": ("main", "lines"),
    }  # staging is a schema of this engine; sales may have been one, and gone with its orders
    assert choose(["sales.orders", "sales.lost"], [("main", "orders"), ("main", "lines")]) == {"sales.orders": ("main", "orders")}  # fmt: skip
    assert choose(["sales.orders"], [("orders",)]) == {"sales.orders": ("orders",)}
    assert elsewhere("public.customers", ("main", "customers"))
    assert elsewhere("public.customers", ("customers",))
    assert not elsewhere("Main.Customers", ("main", "customers"))
    assert not elsewhere("files.clicks.parquet", ("main", "clicks"))


def test_a_file_is_one_table_by_whichever_of_its_names(project):
    (project / "lake" / "events").mkdir()
    for day in (1, 2):
        (project / "lake" / "events" / f"{day}.csv").write_text(f"id,at\n{day},2025-01-01\n")
    with opened(project) as app:
        lake = app.systems["lake"]
        assert sorted(engines.tables_of(lake)) == [("main", "customers"), ("main", "events"), ("main", "orders")]  # fmt: skip
        names = ["customers", "customers.parquet", "files.customers.parquet", "main.customers", 'files."customers.parquet"']  # fmt: skip
        found = engines.catalog_of(lake, [*names, "files.events/*.csv", "nobody"]).tables
        assert {name: table.name for name, table in found.items()} == {**dict.fromkeys(names, "customers"), "files.events/*.csv": "events"}  # fmt: skip
        app.apply(planned(app, "quality.propose-contract", system="lake", contract="shop"), by="a person", approved=True)  # fmt: skip
        text = (project / "contracts" / "shop.yaml").read_text("utf-8")
        assert "physicalName" not in text
        covered = next(one for one in report_facts.gather(app.systems, None, 7, catalogs=True).coverage if one.system == "lake")  # fmt: skip
        assert (covered.tables, covered.without_contract) == (3, ())


@pytest.mark.parametrize("table", ["customers", "customers.parquet", "files.customers.parquet"])
def test_what_the_estate_says_of_a_file_is_known_by_whichever_of_its_names(project, table):
    about = {"system": "lake", "table": table, "subject": "customer", "subject_key": "id", "personal": {"email": "email", "country": "location"}}  # fmt: skip
    (project / "key.txt").write_text("7\n")
    with opened(project, datasets={"people": about}) as app:
        found = planned(app, "quality.classify-data", system="lake")
        assert (
            not found.steps
        )  # nothing that does not stand there already, and no second dataset of the same file
        app.apply(planned(app, "quality.propose-contract", system="lake", contract="shop"), by="a person", approved=True)  # fmt: skip
        assert "pii:location" in (project / "contracts" / "shop.yaml").read_text("utf-8")
        checked = planned(app, "quality.check-contract", contract="shop", system="lake")
        given = checked.steps[0].call.arguments["given"]["compiled"]["asked"]
        assert {one["rule"]: one.get("keys_left_out") for one in given}["customers-email-unique"]
        bundle = planned(app, "compliance.export-subject", subject="customer", key="file:key.txt")
        assert (bundle.blockers, bundle.steps[0].predicted.rows) == ((), 1)


def test_what_is_classified_is_found_by_compliance(project):
    with opened(project) as app:
        plan = planned(app, "quality.classify-data", system="lake")
        app.apply(plan, by="a person", approved=True)
        datasets = app.systems["estate"].read("get", where=["datasets"])
        assert [one["table"] for one in datasets.values()] == ["customers"]
        assert app.systems["lake"].read("subject_files", table="customers")["files"] == 1
