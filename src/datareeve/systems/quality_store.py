"""The quality store: verdicts and their history, incidents, what people marked as expected; in SQLite or PostgreSQL.

Everything is put by its key, so that a step that is carried out again after a crash writes the same rows again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput
from datareeve.systems.store_database import QUALITY, Database, named_statements, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from datareeve.core.secrets import Secret
    from datareeve.systems.store_database import Transaction

VERSION = 1
# PostgreSQL's advisory locks: while the tables are made, while incidents are opened and ended, while what is old is taken out.
OPENING, STANDING, FORGETTING = 724622, 724623, 724624
MOST = 1000
FORGOTTEN_AT_ONCE = 50_000  # verdicts: a store that grew for years holds nobody up
SQL = named_statements("quality_store.sql")

Row = dict[str, Any]


class QualityStore:
    """An open store. Every method is one transaction; all raise the errors of `store_database.translated`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, where: str | Path, password: Secret | None = None) -> QualityStore:
        """Open a store, making its tables where they are not there. Errors: `BadInput` `quality-store.url`, `quality-store.newer`."""
        store = cls(Database(str(where), password, QUALITY))
        try:
            store._prepare()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    # -- verdicts ------------------------------------------------------------------------------------------------------------------

    def put_run(
        self,
        run: Mapping[str, Any],
        verdicts: Iterable[Mapping[str, Any]],
        incidents: Callable[[list[Row]], list[Row]] = lambda _: [],
    ) -> list[Row]:
        """A run with its verdicts and the incidents they make, together; of the same run, contract and system in place of what was there.

        `incidents` gives them from those that stand open, and is asked while no other run opens or ends any: two runs at once tell of one cause once.
        """
        of = {"run": run["run"], "contract": run["contract"], "system": run["system"]}
        with self._database.transaction() as t:
            t.run(SQL["run_put"], **run)
            t.run_many(
                SQL["verdict_put"], [{**of, **one, "told": json.dumps(one["told"])} for one in verdicts]
            )
            if t.dialect == "postgresql":
                t.run(f"SELECT pg_advisory_xact_lock({STANDING})")
            own = t.rows(SQL["incidents"], contract=run["contract"], system=run["system"], open=1, most=MOST)
            every = t.rows(SQL["incidents"], contract=None, system=None, open=1, most=MOST)
            kept = incidents([_read(one) for one in {one["id"]: one for one in (*own, *every)}.values()])
            t.run_many(SQL["incident_put"], [{**one, "told": json.dumps(one["told"])} for one in kept])
        return kept

    def runs(
        self,
        *,
        run: str | None = None,
        contract: str | None = None,
        system: str | None = None,
        since: str | None = None,
        most: int = MOST,
    ) -> list[Row]:
        """Runs, newest first."""
        return self._rows("runs", run=run, contract=contract, system=system, since=since, most=most)

    def verdicts(self, run: str, contract: str, system: str) -> list[Row]:
        """The verdicts of one run: {rule, at, says, told}."""
        return self._rows("verdicts", run=run, contract=contract, system=system)

    def history(
        self, contract: str, system: str, rule: str, *, before: str | None = None, most: int = MOST
    ) -> list[Row]:
        """Earlier figures of a rule, newest first, with what people said of them: {at, run, says, figure, failing, checked, mark}."""
        rows = self._rows("history", contract=contract, system=system, rule=rule, before=before, most=most)
        marks = {one["at"]: one for one in self.marks(contract, system, rule)}
        return [{**row, "mark": marks.get(row["at"], {}).get("kind")} for row in rows]

    def recent(self, contract: str, system: str, *, before: str | None = None, most: int = 10) -> list[Row]:
        """The newest verdicts of every rule: {rule, at, says, figure}."""
        return self._rows("recent", contract=contract, system=system, before=before, most=most)

    def forget(self, before: str) -> int:
        """Take out what is older, the oldest first and so much at once; gives the number of verdicts. What stands open, and people's words, stay."""
        with self._database.transaction() as t:
            if t.dialect == "postgresql" and not t.rows(
                f"SELECT 1 AS mine WHERE pg_try_advisory_xact_lock({FORGETTING})"
            ):
                return 0  # another is at it
            t.run(SQL["forget_runs"], before=before)
            t.run(SQL["forget_incidents"], before=before)
            return t.run(SQL["forget_verdicts"], before=before, most=FORGOTTEN_AT_ONCE)

    # -- marks ---------------------------------------------------------------------------------------------------------------------

    def put_mark(self, mark: Mapping[str, Any]) -> None:
        """A person's word on a figure: {contract, system, rule, at, kind, why, by_whom, marked}."""
        with self._database.transaction() as t:
            t.run(SQL["mark_put"], **mark)

    def take_mark(self, contract: str, system: str, rule: str, at: str) -> int:
        """That word taken back; quiet where there is none."""
        with self._database.transaction() as t:
            return t.run(SQL["mark_take"], contract=contract, system=system, rule=rule, at=at)

    def marks(
        self, contract: str | None = None, system: str | None = None, rule: str | None = None
    ) -> list[Row]:
        """What people said, oldest first."""
        return self._rows("marks", contract=contract, system=system, rule=rule)

    # -- incidents and other documents ---------------------------------------------------------------------------------------------

    def incidents(
        self,
        contract: str | None = None,
        system: str | None = None,
        *,
        open_only: bool = False,
        most: int = MOST,
    ) -> list[Row]:
        """Incidents, newest first."""
        return self._rows("incidents", contract=contract, system=system, open=int(open_only), most=most)

    def put_document(  # noqa: PLR0913 - what a document is made of
        self, kind: str, id_: str, *, run: str, at: str, subject: str, told: Any
    ) -> None:
        """A document that belongs to a run: an erasure's proof, a reconciliation, a scan."""
        with self._database.transaction() as t:
            t.run(
                SQL["document_put"], kind=kind, id=id_, run=run, at=at, subject=subject, told=json.dumps(told)
            )

    def documents(
        self,
        kind: str,
        *,
        id_: str | None = None,
        run: str | None = None,
        subject: str | None = None,
        most: int = MOST,
    ) -> list[Row]:
        """Documents of a kind, newest first: {kind, id, run, at, subject, told}."""
        return self._rows("documents", kind=kind, id=id_, run=run, subject=subject, most=most)

    def take_document(self, kind: str, id_: str) -> int:
        """A document taken back; quiet where there is none."""
        with self._database.transaction() as t:
            return t.run(SQL["document_take"], kind=kind, id=id_)

    # -- within --------------------------------------------------------------------------------------------------------------------

    def _rows(self, name: str, **values: Any) -> list[Row]:
        with self._database.reading() as t:
            rows = t.rows(SQL[name], **values)
        return [_read(row) for row in rows]

    def _prepare(self) -> None:
        with self._database.transaction() as t:
            if t.dialect == "postgresql":
                t.run(f"SELECT pg_advisory_xact_lock({OPENING})")
                t.run(f"CREATE SCHEMA IF NOT EXISTS {QUALITY.schema}")
            _make_tables(t)
            found = t.one("SELECT version FROM meta")
            if found is None:
                t.run("INSERT INTO meta (version) VALUES (:version)", version=VERSION)
            elif found["version"] > VERSION:
                raise BadInput(
                    "quality-store.newer",
                    "The quality store was written by a newer Datareeve.",
                    "Upgrade Datareeve.",
                )


def _read(row: Row) -> Row:
    return {**row, "told": json.loads(row["told"])} if "told" in row else row


def _make_tables(t: Transaction) -> None:
    text = "\n".join(line for line in text_of("quality_schema.sql").splitlines() if not line.startswith("--"))
    for statement in text.split(";"):
        if statement.strip():
            t.run(statement)
