"""What is older than it may be: found, counted, and how it goes. Whole partitions are dropped, other rows are deleted in batches, files are written anew.

GDPR article 5(1)(e): kept no longer than is necessary for the purposes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.compliance import refreshing
from datareeve.capabilities.quality.compliance.looking import surroundings
from datareeve.capabilities.quality.compliance.places import TABLES, WRITTEN, Surroundings, through
from datareeve.core import clock
from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Call, Claim, Effect, Finding, Prediction, Severity, Step
from datareeve.core.value import Value
from datareeve.systems.subject_shapes import Match, Store
from datareeve.systems.subject_tables import named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.core.estate_data import Dataset, DataSettings, LegalHold
    from datareeve.core.operation import Reader, Systems

# Partitions of a table by range of one column, with the end of each; the bounds are part of the schema, not of the rows.
PARTITIONS_SQL = """
SELECT n.nspname AS s, c.relname AS t, substring(pg_get_expr(c.relpartbound, c.oid) FROM $$TO \\('([^']+)'\\)$$) AS ends, c.relkind::text AS kind,
       EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = i.inhparent) AS referred
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_partitioned_table p ON p.partrelid = i.inhparent
  JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
 WHERE i.inhparent = to_regclass(%(table)s) AND p.partstrat = 'r' AND p.partnatts = 1 AND a.attname = %(column)s ORDER BY 1, 2
"""


# What rows are not deleted from, by the kind of relation.
COPIES = {
    "m": "a materialized view: it holds what its tables hold, and is filled anew where rows of theirs go",
    "f": "a foreign table, whose rows are in another server: declare that one",
}


class Partition(Value):
    """A partition that is older than it may be, all of it."""

    table: str
    source: str
    rows: int


class Aged(Value):
    """A dataset with a time limit, and what of it is past that."""

    dataset: str
    system: str
    kind: str
    table: str  # as the catalog has it
    store: Store
    rows: int = 0
    partitions: tuple[Partition, ...] = ()
    referred_by: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    views: tuple[refreshing.View, ...] = ()  # materialized: they keep the rows until they are filled anew
    left_alone: str = ""  # why nothing of it goes
    spared: int = 0  # digests of keys under a hold

    @property
    def in_batches(self) -> int:
        """Rows that are not in a partition which goes as a whole."""
        return self.rows - sum(one.rows for one in self.partitions)


class RetentionFacts(Value):
    """Every dataset with a time limit."""

    day: str
    aged: tuple[Aged, ...] = ()
    holds_digest: str = ""  # of all holds, as they stood
    unlimited: tuple[str, ...] = ()  # personal, and without a limit


def look(systems: Systems, declared: DataSettings, only: Iterable[str] = ()) -> RetentionFacts:
    """What is past its time, today."""
    wanted = set(only)
    limited = {name: one for name, one in declared.datasets.items() if one.retention_days and (not wanted or name in wanted)}  # fmt: skip
    holds = systems["compliance"].read("holds_digest")
    seen = surroundings(systems, declared.model_copy(update={"datasets": limited}))
    unlimited = tuple(name for name, one in declared.datasets.items() if not one.retention_days and (one.subject or any(c != "no" for c in one.personal.values())))  # fmt: skip
    aged = tuple(_aged(systems, declared, seen, name, one) for name, one in limited.items())
    return RetentionFacts(day=clock.stamp()[:10], aged=aged, unlimited=unlimited, holds_digest=holds)


def _aged(systems: Systems, declared: DataSettings, seen: Surroundings, name: str, one: Dataset) -> Aged:
    kind = seen.kinds.get(one.system, "")
    before = (clock.now() - timedelta(days=one.retention_days or 0)).date().isoformat()
    table = named(seen.tables.get(one.system, {}), one.table, kind) if kind in TABLES else one.table
    digests, held = _held(declared, name, one)
    match = Match(older=one.retention_column or "", before=before, spared=digests, spared_subject=one.subject or "", column=one.subject_key or "" if digests else "")  # fmt: skip
    form = "table" if kind in TABLES else "parquet" if "parquet" in seen.files.get(name, {}).get("forms", ()) else "lines"  # fmt: skip
    found = Aged(dataset=name, system=one.system, kind=kind, table=table or one.table, spared=len(digests),
                 store=Store.model_validate({"dataset": name, "table": one.table, "form": form, "match": match.model_dump()}))  # fmt: skip
    if why := held or _unfit(seen, name, one, kind, table):
        return found.model_copy(update={"left_alone": why})
    try:
        counted = _counted(systems, seen, found)
        why = _cascades(systems, declared, seen, counted) if counted.rows or counted.partitions else ""
        return counted.model_copy(update={"left_alone": why})
    except DatareeveError as error:
        return found.model_copy(update={"left_alone": f"its age cannot be asked: {error.what}"})


def _unfit(  # noqa: PLR0911 - one a reason
    seen: Surroundings, name: str, one: Dataset, kind: str, table: str | None
) -> str:
    if not kind:
        return f"the estate has no system {one.system}"
    if one.system in seen.down:
        return f"{one.system} does not answer: {seen.down[one.system]}"
    if not one.retention_column:
        return "no retention_column says how old a row is"
    if kind in TABLES:
        return _unfit_table(seen, one, kind, table)
    if kind != "folder":
        return f"{one.system} is {kind}, where nothing is deleted"
    columns, forms = (
        seen.files.get(name, {}).get("columns", []),
        set(seen.files.get(name, {}).get("forms", ())),
    )
    if one.retention_column not in columns and forms != {"json"}:
        return f"its files have no column {one.retention_column}"
    return ""


def _unfit_table(seen: Surroundings, one: Dataset, kind: str, table: str | None) -> str:
    column = one.retention_column or ""
    if table is None:
        return f"{one.system} has no table {one.table}"
    if (holds := seen.tables[one.system][table]["kind"]) in COPIES:
        return f"{table} is {COPIES[holds]}"
    about = seen.tables[one.system][table]["columns"].get(column)
    if about is None:
        return f"{table} has no column {column}"
    if kind == "postgresql" and not about["type"].lower().startswith(("date", "timestamp")):
        return f"{table}.{column} is {about['type']}: text is not in the order of time, and only a date or timestamp is compared"
    return ""


def _held(declared: DataSettings, name: str, one: Dataset) -> tuple[tuple[str, ...], str]:
    """The digests of keys whose rows are spared; or why nothing of the dataset may go."""
    today, digests = clock.stamp()[:10], set()
    for hold, held in declared.holds.items():
        if not _is_about(held, name, one) or (held.until is not None and held.until < today):
            continue
        if not held.keys or not one.subject_key:
            return (), f"legal hold {hold!r} keeps it: {held.why}"
        digests |= set(held.keys)
    return tuple(sorted(digests)), ""


def _is_about(held: LegalHold, name: str, one: Dataset) -> bool:
    if held.datasets:
        return name in held.datasets
    return held.subject is None or one.subject is None or held.subject == one.subject


def _counted(systems: Systems, seen: Surroundings, found: Aged) -> Aged:
    reader = systems[found.system]
    stores = [found.store.model_dump(mode="json", exclude_defaults=True)]
    rows = reader.read("subject_counts", stores=stores)[found.dataset]
    tables = seen.tables.get(found.system, {})
    referred = sorted({table for table, about in tables.items() for key in about["keys"] if key["table"] == found.table and key["on_delete"] in ("no action", "restrict")})  # fmt: skip
    parents = tuple(sorted({key["table"] for key in tables.get(found.table, {}).get("keys", ())}))
    partitions = _partitions(reader, found) if found.kind == "postgresql" and not found.spared else ()
    views = tuple(
        view
        for table in _cascading(tables, found.table)
        for view in refreshing.of_table(found.system, tables, table)
    )
    return found.model_copy(update={"rows": rows, "referred_by": tuple(referred), "parents": parents, "partitions": partitions, "views": views})  # fmt: skip


def _cascading(tables: dict[str, dict[str, Any]], table: str) -> list[str]:
    """A table, and those whose rows go or change with its own."""
    found = [table]
    for parent in found:  # it grows meanwhile
        found += [name for name, about in tables.items() if name not in found and any(key["table"] == parent and key["on_delete"] not in ("no action", "restrict") for key in about["keys"])]  # fmt: skip
    return found


def _cascades(systems: Systems, declared: DataSettings, seen: Surroundings, found: Aged) -> str:
    """Why nothing may go: rows of other tables would go or change with it, which are held, kept, or younger than they may be removed."""
    tables = seen.tables.get(found.system, {})
    names = {named(tables, one.table, found.kind): name for name, one in declared.datasets.items() if one.system == found.system}  # fmt: skip
    waiting, done = [(found.table, found.store.match)], {found.table}
    while waiting:
        parent, match = waiting.pop(0)
        for table, key in ((table, key) for table, about in tables.items() for key in about["keys"] if key["table"] == parent):  # fmt: skip
            if key["on_delete"] in ("no action", "restrict"):
                continue
            referring = through(tables, key, match)
            store = Store(dataset=table, table=table, match=referring)
            rows = systems[found.system].read("subject_counts", stores=[store.model_dump(mode="json", exclude_defaults=True)])[table]  # fmt: skip
            if rows and (why := _stays(declared, names.get(table), key["on_delete"], found)):
                return f"{rows:,} rows of {table} would go or change with it (ON DELETE {key['on_delete'].upper()}), and {why}"
            if rows and key["on_delete"] == "cascade" and table not in done:
                done.add(table)
                waiting.append((table, referring))
    return ""


def _stays(declared: DataSettings, name: str | None, on_delete: str, found: Aged) -> str:
    """Why rows of a table that refers to another's must not go with those; empty where they may."""
    if name is None:
        return "" if on_delete != "cascade" else "no dataset says how long it is kept"
    one, today = declared.datasets[name], clock.stamp()[:10]
    for hold, held in declared.holds.items():
        if _is_about(held, name, one) and (held.until is None or held.until >= today):
            return f"legal hold {hold!r} keeps {name}: {held.why}"
    if one.erasure == "keep":
        return f"{name} is kept: {one.kept_because}"
    if on_delete != "cascade":
        return ""
    mine = declared.datasets[found.dataset].retention_days or 0
    return "" if one.retention_days and one.retention_days <= mine else f"{name} is kept for longer, or has no retention_days"  # fmt: skip


def _partitions(reader: Reader, found: Aged) -> tuple[Partition, ...]:
    source = _quoted(*found.table.split(".", 1))
    rows = reader.read("query", sql=PARTITIONS_SQL, parameters={"table": source, "column": found.store.match.older})  # fmt: skip
    whole = [row for row in rows if row["ends"] and row["kind"] == "r" and not row["referred"] and row["ends"][:10] <= found.store.match.before]  # fmt: skip
    made = []
    for row in whole:
        place = _quoted(row["s"], row["t"])
        counted = reader.read("query", sql=f"SELECT count(*) FROM {place}", shape="scalar")
        made.append(Partition(table=f"{row['s']}.{row['t']}", source=place, rows=counted))
    return tuple(made)


def _quoted(*parts: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


# -- deciding --------------------------------------------------------------------------------------------------------------------------


def due(facts: RetentionFacts) -> list[Aged]:
    """The datasets with something to go, those that refer to others first."""
    left = sorted((one for one in facts.aged if (one.rows or one.partitions) and not one.left_alone), key=lambda one: one.dataset)  # fmt: skip
    ordered: list[Aged] = []
    while left:
        referred = {(one.system, parent) for one in left for parent in one.parents if parent != one.table}
        ready = [one for one in left if (one.system, one.table) not in referred] or left[:1]
        ordered += ready
        left = [one for one in left if one not in ready]
    return ordered


def blockers(some: list[Aged], max_rows: int) -> list[str]:
    """What keeps it from being planned."""
    found = []
    for one in some:
        if one.kind not in WRITTEN:
            before = f"{one.store.match.older} < '{one.store.match.before}'"
            found.append(
                f"{one.dataset}: {one.rows:,} rows in {one.system}, which Datareeve only reads. As its owner: DELETE FROM {one.table} WHERE {before};"
            )
        elif one.rows > max_rows:
            found.append(f"{one.dataset}: {one.rows:,} rows are past their time, more than max_rows ({max_rows:,}). Give max_rows more, or partition the table by {one.store.match.older}.")  # fmt: skip
    return [*found, *refreshing.blockers(_views(some))]


def steps(some: list[Aged], holds: str = "") -> list[Step]:
    """Files, partitions, rows, and the former files last. What acts on rows looks at the holds again."""
    files = [one for one in some if one.kind != "postgresql"]
    tables = [one for one in some if one.kind == "postgresql"]
    made = [_rewrite(one, holds) for one in files]
    for one in tables:
        made += [_drop(one, partition) for partition in one.partitions]
        made += [_batches(one, holds)] if one.in_batches > 0 else []
    made += refreshing.steps(_views(tables), "rows that are past their time", needs_person=False)
    return [*made, *(_remove_former(one) for one in files)]


def _views(some: Iterable[Aged]) -> list[refreshing.View]:
    return refreshing.in_order(view for one in some for view in one.views)


def none_older(one: Aged) -> Claim:
    """No row is past its time."""
    stores = [one.store.model_dump(mode="json", exclude_defaults=True)]
    return Claim(
        text=f"{one.dataset} holds no row from before {one.store.match.before}{' but those under a hold' if one.spared else ''}",
        call=Call(system=one.system, action="subject_counts", arguments={"stores": stores}),
        expected={one.dataset: 0},
    )


def as_counted(one: Aged) -> Claim:
    """As many rows as the plan was made of."""
    return none_older(one).model_copy(
        update={"text": f"{one.dataset} holds {one.rows:,} rows from before {one.store.match.before}", "expected": {one.dataset: one.rows}}
    )  # fmt: skip


def _expected(one: Aged) -> dict[str, Any]:
    return one.store.model_copy(update={"expected": one.in_batches}).model_dump(mode="json", exclude_defaults=True)  # fmt: skip


def _batches(one: Aged, holds: str) -> Step:
    return Step(
        id=f"remove old rows of {one.dataset}",
        call=Call(
            system=one.system, action="remove_old_rows", arguments={"store": _expected(one), "holds": holds}
        ),
        why=f"{one.in_batches:,} rows from before {one.store.match.before} are past their time; some thousand go in a transaction.",
        effect=Effect.IRREVERSIBLE,
        probe=none_older(one),
        no_undo="Rows that are past their time do not come back, but from a backup.",
        predicted=Prediction(rows=one.in_batches, lock="ROW EXCLUSIVE", basis="counted"),
        touches=(f"{one.system}:{one.table}",),
        schemas=(one.table.split(".", 1)[0],),
    )


def _drop(one: Aged, partition: Partition) -> Step:
    there = {"sql": "SELECT to_regclass(%(table)s) IS NULL", "parameters": {"table": partition.source}, "shape": "scalar"}  # fmt: skip
    return Step(
        id=f"drop partition {partition.table}",
        call=Call(system=one.system, action="execute", arguments={"sql": f"DROP TABLE {partition.source}"}),
        why=f"All {partition.rows:,} rows of it are from before {one.store.match.before}: dropping it takes no scan and leaves no dead rows.",
        effect=Effect.IRREVERSIBLE,
        probe=Claim(text=f"there is no partition {partition.table}", call=Call(system=one.system, action="query", arguments=there)),
        no_undo="Rows that are past their time do not come back, but from a backup.",
        predicted=Prediction(rows=partition.rows, lock="ACCESS EXCLUSIVE", basis="counted; the lock is on the parent too, for a moment"),
        touches=(f"{one.system}:{one.table}",),
        schemas=(partition.table.split(".", 1)[0],),
    )  # fmt: skip


def _rewrite(one: Aged, holds: str) -> Step:
    stores = [one.store.model_copy(update={"expected": one.rows}).model_dump(mode="json", exclude_defaults=True)]  # fmt: skip
    back = {"tables": [one.store.table], "stores": stores, "sought": None}
    return Step(
        id=f"rewrite {one.dataset}",
        call=Call(
            system=one.system,
            action="rewrite_files",
            arguments={"stores": stores, "sought": None, "holds": holds},
        ),
        why=f"{one.rows:,} rows from before {one.store.match.before} are past their time; the files are written anew without them.",
        effect=Effect.REVERSIBLE,
        probe=none_older(one),
        undo=(Call(system=one.system, action="put_back_files", arguments=back),),
        predicted=Prediction(rows=one.rows, basis="counted"),
        touches=(f"{one.system}:{one.store.table}",),
    )


def _remove_former(one: Aged) -> Step:
    arguments = {"tables": [one.store.table]}
    return Step(
        id=f"remove former files of {one.dataset}",
        call=Call(system=one.system, action="remove_former_files", arguments=arguments),
        why="The former files still hold the old rows; they were the way back.",
        effect=Effect.IRREVERSIBLE,
        probe=Claim(text=f"no former file of {one.dataset} is left", call=Call(system=one.system, action="former_files", arguments=arguments), expected=0),
        no_undo="Rows that are past their time do not come back, but from a backup.",
        touches=(f"{one.system}:{one.store.table}",),
    )  # fmt: skip


def findings(facts: RetentionFacts) -> tuple[Finding, ...]:
    """What was left alone and why, what may stand in the way, what has no limit."""
    found = [Finding(rule="retention-not-applied", subject=one.dataset, what=f"Nothing of {one.dataset} goes: {one.left_alone}.", instead="Correct it in estate.yaml under datasets or holds.") for one in facts.aged if one.left_alone]  # fmt: skip
    found += [Finding(rule="rows-are-referred-to", subject=one.dataset, what=f"{', '.join(one.referred_by)} refer to {one.table}: a row that is still referred to stops the removal.", instead="Give those tables a retention too, no longer than this one's.") for one in facts.aged if one.rows and one.referred_by]  # fmt: skip
    found += [Finding(rule="rows-spared", subject=one.dataset, what=f"Rows of {one.spared} subjects are spared: legal holds.", severity=Severity.INFO) for one in facts.aged if one.spared]  # fmt: skip
    found += [Finding(rule="no-retention", subject=name, what=f"{name} holds personal data and has no retention_days (GDPR article 5(1)(e)).", instead="Give it retention_days and retention_column.") for name in facts.unlimited]  # fmt: skip
    return tuple(found)
