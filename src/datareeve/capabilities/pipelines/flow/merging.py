"""What a publication changes, made before it is published: rows that go (`gone`), rows that come (`came`), and what there will be (`next`).

Both sets are tables of the destination. Applying them is the publication, and applying them the other way round is its undo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from datareeve.capabilities.pipelines.flow import names
from datareeve.capabilities.pipelines.flow.compared import Compared
from datareeve.capabilities.pipelines.flow.shaping import Shape
from datareeve.capabilities.pipelines.flow.versions import Chain
from datareeve.core.errors import Refused
from datareeve.core.value import Value
from datareeve.systems.mover import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.pipelines.spec import Load
    from datareeve.systems.destination import Destination

WIDE = 700  # columns: PostgreSQL's join gives at most 1,664 to what stands above it


class Change(Value):
    """How one table is published."""

    table: str
    how: Literal[
        "swap", "refill", "change", "view"
    ]  # refill: what depends on the table would not follow a new one
    first: bool = False  # nothing is published yet
    match: tuple[str, ...] = ()  # what tells rows from one another; none: rows only come
    columns: tuple[str, ...] = ()  # of the rows that come
    select: str = ""  # of a view: as it will be
    former_select: str = ""  # and as it was
    span: str = ""  # of a backfill without keys: the condition of the rows whose place others take
    came: str = ""
    gone: str = ""
    added_columns: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    widened: dict[str, str] = {}  # noqa: RUF012 - as above
    added: int = 0
    changed: int = 0
    removed: int = 0
    rows_before: int = 0
    rows_after: int = 0
    compared: bool = True  # False: there are no keys to compare by, and only rows are counted


class Merging(Compared):
    """One load's change."""

    def __init__(  # noqa: PLR0913 - what it rests on
        self,
        there: Destination,
        *,
        name: str,
        load: Load,
        schema: str | None,
        known: dict[str, Any],
        moment: str,
    ) -> None:
        self._there, self._load, self._schema, self._known, self._moment = there, load, schema, known, moment
        self._table = (load.to or name).rpartition(".")[2]
        self._shape = Shape.model_validate(known["shape"])
        self._existing = there.columns(schema, self._table)

    def run(self) -> Change:
        """Make the tables of the change; gives it. Called within a transaction."""
        self._clean()
        if self._load.mode == "full" or (self._known["first"] and self._load.mode == "append"):
            return self._swapped()
        self._there.looked_at(self._schema, str(self._known["table"]))
        self._one_row_a_key()
        if self._known["first"]:
            self._make(names.next_(self._table), self._arriving()) if self._own else None
            return self._swapped()
        return self._merged()

    # -- swaps -------------------------------------------------------------------------------------------------------------------------

    def _swapped(self) -> Change:
        after = self._count(names.next_(self._table))
        if self._known["first"]:
            return Change(table=self._table, how="swap", first=True, added=after, rows_after=after)
        before = self._count(self._table)
        columns = (*self._shape.names, *self._shape.missing)
        change = Change(table=self._table, how="swap", columns=columns, rows_before=before, rows_after=after)
        if self._there.dependents(self._schema, self._table):
            change = change.model_copy(
                update={"how": "refill", "added_columns": self._added_columns, "widened": self._shape.widened}
            )
        keys = self._load.keys
        if not keys or not all(key in self._existing for key in keys):
            counted = {"compared": False, "added": max(0, after - before), "removed": max(0, before - after)}
            return change.model_copy(update=counted)
        same, changed = self._compared()
        return change.model_copy(
            update={"match": keys, "changed": changed, "added": after - same, "removed": before - same}
        )

    def _compared(self) -> tuple[int, int]:
        """How many rows are in both, and how many of these differ."""
        columns = (*self._shape.names, *self._shape.missing)
        rest = [one for one in columns if one not in self._load.keys]
        differs = self._differs(rest) or "FALSE"
        joined = f"{self._name(self._table)} AS p JOIN {self._name(names.next_(self._table))} AS b ON {self._equal(self._load.keys)}"
        if len(rest) > WIDE:
            ((same,),) = self._there.run(f"SELECT count(*) FROM {joined}")
            ((changed,),) = self._there.run(f"SELECT count(*) FROM {joined} WHERE {differs}")
        else:
            ((same, changed),) = self._there.run(
                f"SELECT count(*), coalesce(sum(CASE WHEN {differs} THEN 1 ELSE 0 END), 0) FROM {joined}"
            )
        return int(same), int(changed)

    @property
    def _added_columns(self) -> dict[str, str]:
        return {one.name: one.type for one in self._shape.columns if one.name in self._shape.added}

    # -- merges ------------------------------------------------------------------------------------------------------------------------

    def _merged(self) -> Change:
        came = names.incoming(self._table)
        if self._load.mode == "append":
            change = self._again() if self._known.get("window") else self._appended()
        elif self._load.mode == "snapshot":
            came = names.came(self._table)
            self._make(came, self._arriving())
            change = Change(
                table=self._table,
                how="change",
                columns=(*self._shape.names, "snapshot_at"),
                came=came,
                added=self._count(came),
            )
        else:
            change = self._upserted() if self._load.mode == "upsert" else self._versioned()
        before = self._count(self._table)
        change = change.model_copy(update={"added_columns": self._added_columns, "widened": self._shape.widened, "rows_before": before,
                                           "rows_after": before + change.added - change.removed})  # fmt: skip
        self._view(change)
        return change

    def _appended(self) -> Change:
        came = names.incoming(self._table)
        return Change(
            table=self._table, how="change", columns=self._shape.names, came=came, added=self._count(came)
        )

    def _again(self) -> Change:
        """A backfill of rows that only come: those of its span take the place of those that are published of it."""
        cursor, window = self._load.cursor, self._known["window"]
        assert cursor is not None  # noqa: S101 - a backfill is planned for loads that have one
        column, type_ = identifier(cursor.column), self._existing[cursor.column]
        span = f"{column} >= CAST({literal(window['since'])} AS {type_})"
        if window["until"]:
            span += f" AND {column} < CAST({literal(window['until'])} AS {type_})"
        came, gone = names.incoming(self._table), names.gone(self._table)
        self._make(gone, f"SELECT * FROM {self._name(self._table)} WHERE {span}")
        both = self._listed([one for one in self._shape.names if one in self._existing])
        less = "SELECT count(*) FROM (SELECT {both} FROM {one} EXCEPT ALL SELECT {both} FROM {other}) AS d"
        added, removed = (
            int(self._there.run(less.format(both=both, one=self._name(one), other=self._name(other)))[0][0])
            for one, other in ((came, gone), (gone, came))
        )
        return Change(
            table=self._table,
            how="change",
            columns=self._shape.names,
            came=came,
            gone=gone,
            span=span,
            added=added,
            removed=removed,
        )

    def _upserted(self) -> Change:
        keys, rest = list(self._load.keys), [one for one in self._shape.names if one not in self._load.keys]
        published, arriving = self._name(self._table), self._name(names.incoming(self._table))
        differs = " OR ".join(filter(None, (self._differs(rest), self._undeleted()))) or "FALSE"
        differs = f"({differs}){self._newer}"
        mark = self._load.deletes == "mark"
        flag = f", FALSE AS {identifier(self._load.deleted_column)}" if mark else ""
        came, gone = names.came(self._table), names.gone(self._table)
        joined = f"{published} AS p JOIN {arriving} AS b ON {self._equal(keys)}"
        self._make(gone, f"SELECT p.* FROM {joined} WHERE {differs}")
        changed = self._count(gone)
        if not mark and changed == int(self._there.run(f"SELECT count(*) FROM {joined}")[0][0]):
            came = names.incoming(self._table)  # none is as it was: they are published as they came
        else:
            taken, absent = self._listed(self._shape.names, "b"), f"p.{identifier(keys[0])} IS NULL"
            self._make(
                came,
                f"SELECT {taken}{flag} FROM {arriving} AS b LEFT JOIN {published} AS p ON {self._equal(keys)} WHERE {absent} OR {differs}",
            )
        added = self._count(came) - changed
        removed = self._deleted(gone, came)
        columns = (*self._shape.names, *((self._load.deleted_column,) if mark else ()))
        return Change(table=self._table, how="change", match=tuple(keys), columns=columns, came=came, gone=gone,
                      added=added, changed=changed + (removed if mark else 0), removed=0 if mark else removed)  # fmt: skip

    def _undeleted(self) -> str:
        # A row that was marked as deleted and is there again has changed, whatever its columns say.
        return f"p.{identifier(self._load.deleted_column)}" if self._load.deletes == "mark" else ""

    def _deleted(self, gone: str, came: str) -> int:
        """Rows whose keys the source no longer has: to be removed, or marked."""
        if self._load.deletes == "keep" or self._known.get("replayed"):
            return 0
        keys, published = self._load.keys, self._name(self._table)
        lost = f"FROM {published} AS p WHERE NOT EXISTS (SELECT 1 FROM {self._name(names.keys(self._table))} AS b WHERE {self._equal(keys)})"
        if self._load.deletes == "mark":
            lost += f" AND NOT p.{identifier(self._load.deleted_column)}"
            flagged = f"{self._as_published(self._shape.names)}, TRUE"
            self._there.changed(f"INSERT INTO {self._name(came)} SELECT {flagged} {lost}")
        return self._there.changed(f"INSERT INTO {self._name(gone)} SELECT p.* {lost}")

    # -- history -----------------------------------------------------------------------------------------------------------------------

    def _versioned(self) -> Change:
        history, keys = self._load.history, list(self._load.keys)
        came, gone = names.came(self._table), names.gone(self._table)
        every = f"{names.incoming(self._table)}_all"[:60]
        if history.changed_at:
            replayed, known = bool(self._known.get("replayed")), self._as_published(self._shape.names)
            self._make(every, self._chain.select(self._name(self._table), known, replayed=replayed))
            goes, comes = self._chain.changes(
                self._name(self._table), self._name(every), self._differs(self._tracked) or "FALSE"
            )
        else:
            goes, comes = self._one_version(gone)
        self._make(gone, goes)
        self._make(came, comes)
        self._there.run(f"DROP TABLE IF EXISTS {self._name(every)}")
        changed = self._count(gone)
        added = self._count(came) - changed
        ended = (
            self._ended(gone, came) if self._load.deletes != "keep" and not self._known.get("replayed") else 0
        )
        columns = (*self._shape.names, history.valid_from, history.valid_to, history.current)
        return Change(table=self._table, how="change", match=(*keys, history.valid_from), columns=columns, came=came, gone=gone,
                      added=added, changed=changed + ended)  # fmt: skip

    def _one_version(self, gone: str) -> tuple[str, str]:
        """Where nothing says when a row changed: what is current ends now, and what came begins."""
        history, keys = self._load.history, list(self._load.keys)
        published, arriving = self._name(self._table), self._name(names.incoming(self._table))
        current, since, until = (
            identifier(one) for one in (history.current, history.valid_from, history.valid_to)
        )
        differs = f"({self._differs(self._tracked) or 'FALSE'}){self._newer}"
        goes = f"SELECT p.* FROM {published} AS p JOIN {arriving} AS b ON {self._equal(keys)} WHERE p.{current} AND {differs}"
        opened, now = self._listed(self._shape.names, "b"), self._now
        closing = f"SELECT {self._as_published(self._shape.names)}, p.{since}, {now} AS {until}, FALSE AS {current} FROM {self._name(gone)} AS p JOIN {arriving} AS b ON {self._equal(keys)}"
        fresh = (f"SELECT {opened}, {now} AS {since}, CAST(NULL AS {self._moment_type}) AS {until}, TRUE AS {current} FROM {arriving} AS b "
                 f"LEFT JOIN {published} AS p ON {self._equal(keys)} AND p.{current} WHERE p.{identifier(keys[0])} IS NULL OR ({differs})")  # fmt: skip
        return goes, f"{closing} UNION ALL {fresh}"

    @property
    def _newer(self) -> str:
        """A condition more, of rows that are replayed: what has come since is newer than what was rejected."""
        if not self._known.get("replayed"):
            return ""
        cursor = self._load.cursor
        column = identifier(cursor.column) if cursor else ""
        return f" AND b.{column} > p.{column}" if cursor else " AND FALSE"

    @property
    def _tracked(self) -> list[str]:
        unfollowed = {*self._load.keys, self._load.cursor.column if self._load.cursor else None}
        return list(self._load.history.track) or [one for one in self._shape.names if one not in unfollowed]

    @property
    def _chain(self) -> Chain:
        history, types = self._load.history, {one.name: one.type for one in self._shape.columns}
        at = f"b.{identifier(str(history.changed_at))}"
        zoned = "WITH TIME ZONE" in types[str(history.changed_at)].upper()
        at = at if zoned else f"CAST({at} AS TIMESTAMP) AT TIME ZONE 'UTC'"
        return Chain(columns=self._shape.names, keys=self._load.keys, since=history.valid_from, until=history.valid_to, current=history.current,
                     at=f"coalesce({at}, {self._now})", now=self._now, incoming=self._name(names.incoming(self._table)),
                     differs=self._differs(self._tracked, types) or "FALSE")  # fmt: skip

    def _ended(self, gone: str, came: str) -> int:
        """Current versions of rows that the source no longer has end now."""
        history, keys, published = self._load.history, self._load.keys, self._name(self._table)
        current = identifier(history.current)
        lost = f"FROM {published} AS p WHERE p.{current} AND NOT EXISTS (SELECT 1 FROM {self._name(names.keys(self._table))} AS b WHERE {self._equal(keys)})"
        ended = (
            f"{self._as_published(self._shape.names)}, p.{identifier(history.valid_from)}, {self._now}, FALSE"
        )
        self._there.changed(f"INSERT INTO {self._name(came)} SELECT {ended} {lost}")
        return self._there.changed(f"INSERT INTO {self._name(gone)} SELECT p.* {lost}")

    # -- pieces ------------------------------------------------------------------------------------------------------------------------

    @property
    def _own(self) -> bool:
        """Whether the mode adds columns to those of the source."""
        return self._load.mode in ("scd2", "snapshot") or self._load.deletes == "mark"

    @property
    def _moment_type(self) -> str:
        return "TIMESTAMP WITH TIME ZONE"

    @property
    def _now(self) -> str:
        return f"CAST({literal(self._moment)} AS {self._moment_type})"

    def _arriving(self) -> str:
        """The rows that came, with the columns that the mode adds, where nothing of their kind is published."""
        listed, arriving = self._listed(self._shape.names, "b"), self._name(names.incoming(self._table))
        if self._load.mode == "snapshot":
            return f"SELECT {listed}, {self._now} AS snapshot_at FROM {arriving} AS b"
        if self._load.mode == "scd2":
            history = self._load.history
            if history.changed_at:
                return self._chain.first()
            own = f"{self._now} AS {identifier(history.valid_from)}, CAST(NULL AS {self._moment_type}) AS {identifier(history.valid_to)}, TRUE AS {identifier(history.current)}"
            return f"SELECT {listed}, {own} FROM {arriving} AS b"
        return f"SELECT {listed}, FALSE AS {identifier(self._load.deleted_column)} FROM {arriving} AS b"

    def _one_row_a_key(self) -> None:
        """Rows that came twice are one; of several versions the newest by the cursor; else it is not known which one is right."""
        if self._load.mode not in ("upsert", "scd2"):
            return
        name = str(self._known["table"])
        table = self._name(name)
        # Of a row whose changes have moments, each moment is a version.
        moments = filter(None, (self._load.history.changed_at,)) if self._load.mode == "scd2" else ()
        keys = ", ".join(map(identifier, dict.fromkeys((*self._load.keys, *moments))))
        twice = f"SELECT 1 FROM {table} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"
        if not self._there.run(twice):
            return
        order = (
            f" ORDER BY {identifier(self._load.cursor.column)} DESC NULLS LAST" if self._load.cursor else ""
        )
        ranked = f"SELECT *, rank() OVER (PARTITION BY {keys}{order}) AS datareeve_rank FROM (SELECT DISTINCT {self._listed(self._shape.names)} FROM {table}) AS d"
        one = f"{name}_one"[:60]
        self._make(
            one, f"SELECT {self._listed(self._shape.names)} FROM ({ranked}) AS r WHERE datareeve_rank = 1"
        )
        found = self._there.run(
            f"SELECT count(*) FROM (SELECT 1 FROM {self._name(one)} GROUP BY {keys} HAVING count(*) > 1) AS g"
        )
        if int(found[0][0]):
            raise Refused("pipelines.duplicate-keys", f"{self._table}: {found[0][0]} keys have several different rows{' of one cursor' if order else ''}; which one is right cannot be told.",
                          "Give more keys, or a cursor that tells their order.")  # fmt: skip
        self._there.remove(self._schema, name)
        self._there.run(f"ALTER TABLE {self._name(one)} RENAME TO {identifier(name)}")

    def _view(self, change: Change) -> None:
        """What there will be, to be audited: what is published without what goes, and what comes."""
        every = [*self._existing, *change.added_columns]
        kept = ", ".join(
            identifier(one)
            if one in self._existing
            else f"CAST(NULL AS {change.added_columns[one]}) AS {identifier(one)}"
            for one in every
        )
        coming, arrived = self._coming(change, every)
        without = ""
        if change.span:
            without = f" WHERE ({change.span}) IS NOT TRUE"
        elif change.gone:
            same = " AND ".join(f"g.{identifier(one)} = p.{identifier(one)}" for one in change.match)
            without = f" WHERE NOT EXISTS (SELECT 1 FROM {self._name(change.gone)} AS g WHERE {same})"
        view, old, new = (self._name(one) for one in (names.next_(self._table), self._table, change.came))
        self._there.run(
            f"CREATE VIEW {view} AS SELECT {kept} FROM {old} AS p{without} UNION ALL SELECT {coming} FROM {new} AS c{arrived}"
        )

    def _coming(self, change: Change, every: Sequence[str]) -> tuple[str, str]:
        """The columns of rows that come, and what they are joined with: of a changed row, a column that did not come stays as it was."""
        lost = [one for one in every if one not in change.columns]
        kept = lost and change.gone and change.match
        listed = ", ".join(
            f"c.{identifier(one)}"
            if one in change.columns
            else f"{f'g.{identifier(one)}' if kept else 'NULL'} AS {identifier(one)}"
            for one in every
        )
        if not kept:
            return listed, ""
        same = " AND ".join(f"g.{identifier(one)} = c.{identifier(one)}" for one in change.match)
        return listed, f" LEFT JOIN {self._name(change.gone)} AS g ON {same}"

    def _clean(self) -> None:
        for name in (names.came(self._table), names.gone(self._table)):
            self._there.remove(self._schema, name)
        if str(self._known["table"]) != names.next_(self._table):
            self._there.remove(self._schema, names.next_(self._table))

    def _make(self, name: str, select: str) -> None:
        self._there.run(f"CREATE TABLE {self._name(name)} AS {select}")
        self._there.looked_at(self._schema, name)

    def _count(self, name: str) -> int:
        return int(self._there.run(f"SELECT count(*) FROM {self._name(name)}")[0][0])

    def _name(self, name: str) -> str:
        return self._there.table(self._schema, name)
