"""What only the rows can tell of a schema: which columns are really unique, and which really refer to another table.

Names and the planner's statistics propose, a sample of the first rows refutes cheaply, an exact query decides. Each stage is one statement
for the whole schema, and tables larger than the bound are left alone and said to be.
"""

from __future__ import annotations

from itertools import combinations, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.capabilities.databases import dialects, engines, sql
from datareeve.capabilities.databases.schema import Column, Schema, Table  # noqa: TC001 - pydantic reads them
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from datareeve.capabilities.databases.dialects import Dialect
    from datareeve.core.operation import Reader, Systems

KEY_SAMPLE = 2000  # rows that refute a would-be composite key
INCLUSION_SAMPLE = 500  # rows that refute a would-be reference
VALUE_SAMPLE = 300  # rows looked at for what a column's text really holds
PAIRS = 300  # would-be references tried on the sample
COMBINATIONS = 20  # would-be composite keys of one table tried on the sample
IDENTIFYING = 8  # columns of one table, and moments, that composite keys are made of
PARTS = 500  # of one statement
NEARLY_UNIQUE = 0.9  # distinct values per row, by statistics, below which a key is not worth an exact test

FAMILIES = {
    "smallint": "integer", "integer": "integer", "bigint": "integer",
    "text": "text", "character varying": "text", "character": "text", "citext": "text",
    "uuid": "uuid",
}  # fmt: skip
MOMENTS = {"date", "timestamp without time zone", "timestamp with time zone", "datetime"}
GENERIC = {
    "id",
    "name",
    "code",
    "key",
    "uuid",
    "type",
    "status",
    "state",
    "value",
    "date",
    "time",
    "year",
    "month",
    "day",
    "hour",
    "minute",
}
# How a person is reached: it may be unique today, and the same in two tables, without naming a row or referring to one.
CONTACTS = {"email", "mail", "phone", "telephone", "mobile", "fax"}
ID_SUFFIXES = ("_id", "_no", "_number", "_code", "_key", "_uuid")


class CandidateKey(Value):
    """Columns that could be a table's primary key, and what an exact test found. `evidence`: 'declared' unique, by 'name', by 'values' alone."""

    table: str
    columns: tuple[str, ...]
    evidence: str
    rows: int = 0
    repeated: int = 0
    nulls: int = 0
    sampled: bool = False  # tested on the first rows only

    @property
    def is_key(self) -> bool:
        """Unique and nowhere null."""
        return self.repeated == 0 and self.nulls == 0


class Reference(Value):
    """Columns whose values are another table's key, with the exact count of those that are not. `evidence`: 'name' or 'values'."""

    table: str
    columns: tuple[str, ...]
    target: str
    keys: tuple[str, ...]
    evidence: str  # 'declared' where it is a foreign key that the engine may not have enforced
    values: int = 0
    rows: int = 0  # those without a null in the reference
    orphan_values: int = 0
    orphan_rows: int = 0
    orphan_keys: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()  # other targets that are as likely

    @property
    def start(self) -> str:
        """'public.flights (dest)'."""
        return f"{self.table} ({', '.join(self.columns)})"

    @property
    def end(self) -> str:
        """'public.airports (faa)'."""
        return f"{self.target} ({', '.join(self.keys)})"

    @property
    def statement(self) -> str:
        """The ALTER TABLE that makes it a foreign key of PostgreSQL, without a semicolon."""
        return self.statement_in(dialects.POSTGRESQL)

    def statement_in(self, dialect: Dialect) -> str:
        """What makes it a foreign key of an engine, without a semicolon."""
        table, target = (name.split(".", 1) for name in (self.table, self.target))
        return dialect.add_foreign_key(table, self.columns, target, self.keys)


class ColumnSample(Value):
    """How many of the first rows' values of a column read as something narrower than its type."""

    table: str
    column: str
    values: int
    whole: int
    moments: int
    booleans: int


class StrangeValues(Value):
    """Rows of SQLite whose value is kept otherwise than the column's type says."""

    table: str
    column: str
    rows: int
    kept_as: tuple[str, ...]


class Survey(Value):
    """A schema and what its rows tell. `keys`: the best tested candidate of each table without a primary key."""

    schema_facts: Schema
    keys: tuple[CandidateKey, ...] = ()
    references: tuple[Reference, ...] = ()
    samples: tuple[ColumnSample, ...] = ()
    untested: tuple[str, ...] = ()  # tables too large, or not readable
    strange: tuple[StrangeValues, ...] = ()  # of SQLite only
    kind: str = "postgresql"  # of the system

    @property
    def dialect(self) -> Dialect:
        """How the engine says what mends something."""
        return dialects.BY_KIND[self.kind]

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of the schema."""
        return self.schema_facts.tables

    def table(self, full_name: str) -> Table:
        """The table of that full name."""
        return next(t for t in self.tables if t.full_name == full_name)

    def type_of(self, sample: ColumnSample) -> str:
        """The type of a sampled column, without its length."""
        column = self.table(sample.table).column(sample.column)
        return column.base_type if column.canonical is None else column.type.partition("(")[0]

    def key_of(self, table: Table) -> CandidateKey | None:
        """The best candidate of a table without a primary key."""
        return next((k for k in self.keys if k.table == table.full_name), None)


def survey(
    systems: Systems,
    system: str,
    schema_name: str | None = None,
    *,
    largest_bytes: int,
    composites_bytes: int | None = None,
) -> Survey:
    """Read the catalog, then test keys and references on the rows of tables of at most `largest_bytes`.

    `composites_bytes`: a smaller bound for the dearest test, the one of composite keys; above it they are tested on a sample.
    """
    reader = systems[system]
    schema = engines.of(reader.kind).schema(systems, system, schema_name)
    tables = [t for t in schema.tables if t.readable and t.bytes <= largest_bytes]
    keys = find_keys(reader, tables, largest_bytes if composites_bytes is None else composites_bytes)
    return Survey(
        schema_facts=schema,
        keys=tuple(keys),
        references=(*broken_references(reader, tables), *find_references(reader, tables, keys)),
        samples=tuple(sample_values(reader, tables)),
        untested=tuple(t.full_name for t in schema.tables if t not in tables),
        strange=tuple(strange_values(reader, tables)),
        kind=reader.kind,
    )


# -- keys ------------------------------------------------------------------------------------------------------------------------------


def find_keys(reader: Reader, tables: Sequence[Table], composites_bytes: int) -> list[CandidateKey]:
    """For each table without a primary key the best candidate that is really unique; where none is, the best by name with its counts."""
    keyless = [t for t in tables if not t.primary_key]
    tested = measure_keys(reader, [c for t in keyless for c in single_candidates(t, tables)])
    without = [t for t in keyless if not any(c.table == t.full_name and c.is_key for c in tested)]
    composites = _unrefuted(reader, [c for t in without for c in composite_candidates(t)])
    small = {t.full_name for t in without if t.bytes <= composites_bytes}
    tested += measure_keys(reader, [c for c in composites if c.table in small])
    tested += [c for c in composites if c.table not in small]
    best: dict[str, CandidateKey] = {}
    for candidate in sorted(
        tested, key=lambda c: not c.is_key
    ):  # stable: among equals the first proposed wins
        best.setdefault(candidate.table, candidate)
    return [best[t.full_name] for t in keyless if t.full_name in best]


def single_candidates(table: Table, tables: Sequence[Table]) -> list[CandidateKey]:
    """Declared unique keys, then columns whose name or place says they identify a row and that statistics do not refute."""
    declared = [columns for columns in table.unique_keys if all(_has(table, name) for name in columns)]
    found = [
        CandidateKey(table=table.full_name, columns=columns, evidence="declared") for columns in declared
    ]
    shared = {c.name for t in tables if t is not table for c in t.columns} - GENERIC
    for column in sorted(table.columns, key=lambda c: not _named_as_key(table, c)):
        promising = (column.name in shared or column is table.columns[0]) and not _is_contact(column)
        if column.base_type in FAMILIES and (
            _named_as_key(table, column) or (promising and _may_be_unique(table, column))
        ):
            found.append(CandidateKey(table=table.full_name, columns=(column.name,), evidence="name"))
    return found


def composite_candidates(table: Table) -> list[CandidateKey]:
    """Two or three identifying columns, at most one of them a moment, whose distinct values could tell all rows apart."""
    full = [c for c in table.columns if not c.null_share and not _is_contact(c)]
    identifying = [c for c in full if FAMILIES.get(c.base_type) in ("text", "uuid") or _numbered(table, c)]
    moments = [c for c in full if c.base_type in MOMENTS]
    parts = [*identifying[:IDENTIFYING], *moments[:IDENTIFYING]]
    choices = (choice for size in (2, 3) for choice in combinations(parts, size))
    enough = (c for c in choices if sum(part in moments for part in c) <= 1 and _enough_values(table, c))
    return [
        CandidateKey(table=table.full_name, columns=tuple(part.name for part in choice), evidence="values")
        for choice in islice(enough, COMBINATIONS)
    ]


def _unrefuted(reader: Reader, candidates: Sequence[CandidateKey]) -> list[CandidateKey]:
    """Of each table the first candidate that the sample does not refute."""
    first: dict[str, CandidateKey] = {}
    for candidate in measure_keys(reader, candidates, sample=KEY_SAMPLE):
        if candidate.is_key and candidate.rows:
            first.setdefault(candidate.table, candidate)
    return list(first.values())


def measure_keys(
    reader: Reader, candidates: Sequence[CandidateKey], sample: int | None = None
) -> list[CandidateKey]:
    """The candidates with counts of rows, repeats and nulls, in the order given; one statement for all."""
    parts = []
    for number, candidate in enumerate(candidates):
        name = dialects.BY_KIND[reader.kind].name
        columns = ", ".join(name(c) for c in candidate.columns)
        table = name(*candidate.table.split(".", 1))
        source = f"(SELECT {columns} FROM {table} LIMIT {sample}) AS head" if sample else table  # noqa: S608 - quoted
        null_count = " + ".join(f"CASE WHEN {name(c)} IS NULL THEN 1 ELSE 0 END" for c in candidate.columns)
        parts.append({"number": number, "columns": columns, "source": source, "null_count": null_count})
    rows = _together(reader, "schema_key_test", parts)
    rows.sort(key=lambda row: row["number"])
    return [
        candidates[row.pop("number")].model_copy(update=row | {"sampled": sample is not None}) for row in rows
    ]


def singular(name: str) -> str:
    """'flights' is 'flight', 'companies' is 'company', 'boxes' is 'box', 'address' stays."""
    for ending, instead in (
        ("ies", "y"),
        ("xes", "x"),
        ("ches", "ch"),
        ("ses", "s"),
        ("ss", "ss"),
        ("s", ""),
    ):
        if name.endswith(ending) and len(name) > len(ending) + 1:
            return name[: -len(ending)] + instead
    return name


def _named_as_key(table: Table, column: Column) -> bool:
    stems = {table.name, singular(table.name)}
    return column.name in {"id", "uuid"} | {stem + end for stem in stems for end in (*ID_SUFFIXES, "id")}


def _numbered(table: Table, column: Column) -> bool:
    return FAMILIES.get(column.base_type) == "integer" and (
        column.name == singular(table.name) or column.name.endswith(ID_SUFFIXES)
    )


def _is_contact(column: Column) -> bool:
    return not CONTACTS.isdisjoint(column.name.split("_")) and not column.name.endswith(ID_SUFFIXES)


def _has(table: Table, name: str) -> bool:
    return any(c.name == name for c in table.columns)


def _distinct(table: Table, column: Column) -> float:
    """Distinct values by statistics; as many as there could be where nothing is known."""
    if column.distinct is None or table.estimated_rows is None:
        return float("inf")
    return column.distinct if column.distinct >= 0 else -column.distinct * table.estimated_rows


def _may_be_unique(table: Table, column: Column) -> bool:
    return not column.null_share and _distinct(table, column) >= NEARLY_UNIQUE * (table.estimated_rows or 0)


def _enough_values(table: Table, columns: Iterable[Column]) -> bool:
    combined = 1.0
    for column in columns:
        combined *= _distinct(table, column)
    return combined >= NEARLY_UNIQUE * (table.estimated_rows or 0)


# -- references ------------------------------------------------------------------------------------------------------------------------


def find_references(reader: Reader, tables: Sequence[Table], keys: Sequence[CandidateKey]) -> list[Reference]:
    """Columns without a foreign key that refer to another table's key, each to its best target, tested exactly."""
    pairs = propose_references(tables, keys)
    dialect = dialects.BY_KIND[reader.kind]
    parts = [_pair(number, pair, dialect) | {"limit": INCLUSION_SAMPLE} for number, pair in enumerate(pairs)]
    found = {row["number"]: row for row in _together(reader, "schema_inclusion_sample", parts)}
    likely = [pair for number, pair in enumerate(pairs) if number in found and _likely(pair, found[number])]
    included = [r for r in measure_references(reader, likely) if _included(r)]
    return [_best([r for r in included if r.start == start]) for start in sorted({r.start for r in included})]


def _best(found: Sequence[Reference]) -> Reference:
    """The reference to the likeliest target, and which others are as likely: by name, the name speaks of the table, fewest orphans."""

    def rank(reference: Reference) -> tuple[bool, bool, int]:
        stem = singular(reference.target.split(".", 1)[1])
        return (reference.evidence != "name", stem not in reference.columns[0], reference.orphan_values)

    best, *others = sorted(found, key=lambda r: (rank(r), r.end))
    rivals = tuple(other.end for other in others if rank(other) == rank(best))
    return best.model_copy(update={"rivals": rivals})


def measure_references(reader: Reader, references: Sequence[Reference]) -> list[Reference]:
    """The references with exact counts of values, rows and orphans, in no order; one statement for all."""
    dialect = dialects.BY_KIND[reader.kind]
    parts = [_pair(number, pair, dialect) for number, pair in enumerate(references)]
    rows = _together(reader, "schema_inclusion", parts)
    return [
        references[row.pop("number")].model_copy(
            update=row | {"orphan_keys": tuple(row.get("orphan_keys", ()))}
        )
        for row in rows
    ]


def broken_references(reader: Reader, tables: Sequence[Table]) -> list[Reference]:
    """The declared foreign keys that rows break all the same: checking can be switched off on MariaDB, MySQL and SQLite."""
    if reader.kind not in {"mysql", "sqlite"}:
        return []
    names = {t.full_name for t in tables}
    declared = [
        Reference(
            table=t.full_name,
            columns=key.columns or (),
            target=f"{key.references_schema}.{key.references_table}",
            keys=key.references_columns or (),
            evidence="declared",
        )
        for t in tables
        for key in t.foreign_keys
        if f"{key.references_schema}.{key.references_table}" in names and key.references_columns
    ]
    return [r for r in measure_references(reader, declared) if r.orphan_rows]


class Target(NamedTuple):
    """A one-column key that could be referred to."""

    table: Table
    key: str
    family: str

    def reference(self, table: Table, column: Column, evidence: str) -> Reference:
        """The reference from a column to this key."""
        return Reference(
            table=table.full_name,
            columns=(column.name,),
            target=self.table.full_name,
            keys=(self.key,),
            evidence=evidence,
        )


def propose_references(tables: Sequence[Table], keys: Sequence[CandidateKey]) -> list[Reference]:
    """Pairs of column and key worth a look: by name whatever the type; by values only for text and uuid, for small integers are everywhere."""
    targets = list(_targets(tables, keys))
    own = {(target.table.full_name, target.key) for target in targets}
    called: dict[str, list[Target]] = {}
    for target in targets:
        for name in {f"parent_{target.key}", *names_for(target.table, target.key)}:
            called.setdefault(name, []).append(target)
    named, valued = [], []
    for table in tables:
        for column in table.columns:
            if (
                column.base_type in FAMILIES
                and not _is_contact(column)
                and not table.references((column.name,))
            ):
                is_key = (table.full_name, column.name) in own
                by_name = _by_name(table, column, called, is_key=is_key)
                named += [target.reference(table, column, "name") for target in by_name]
                valued += [
                    (t, table, column)
                    for t in _by_values(table, column, targets, is_key=is_key)
                    if t not in by_name
                ]
    return (named + [target.reference(table, column, "values") for target, table, column in valued[:PAIRS]])[
        :PAIRS
    ]


def _by_name(
    table: Table, column: Column, called: Mapping[str, list[Target]], *, is_key: bool
) -> list[Target]:
    """The keys that a column's name, or what follows one of its underscores, speaks of."""
    words = column.name.split("_")
    tails = ["_".join(words[start:]) for start in range(len(words))]
    found = [target for tail in tails for target in called.get(tail, ())]
    return [
        target
        for n, target in enumerate(found)
        if target.family == FAMILIES[column.base_type]
        and target not in found[:n]
        and names_match(table, column.name, target.table, target.key, is_key=is_key)
    ]


def _by_values(table: Table, column: Column, targets: Sequence[Target], *, is_key: bool) -> list[Target]:
    """The keys of other tables that could hold all of a text or uuid column's values, as far as statistics know."""
    family = FAMILIES[column.base_type]
    if family == "integer" or is_key:
        return []
    distinct = _distinct(table, column) if column.distinct is not None else 0.0
    return [
        target
        for target in targets
        if target.family == family
        and target.table is not table
        and distinct
        <= 1.5 * (float("inf") if target.table.estimated_rows is None else target.table.estimated_rows)
    ]


def _targets(tables: Sequence[Table], keys: Sequence[CandidateKey]) -> Iterator[Target]:
    """Every one-column key, declared or found."""
    chosen = {k.table: k.columns for k in keys if k.is_key}
    for table in tables:
        lists = {*table.unique_keys, chosen.get(table.full_name, ())}
        for columns in sorted(lists):
            if len(columns) == 1 and _has(table, columns[0]):
                family = FAMILIES.get(table.column(columns[0]).base_type)
                if family:
                    yield Target(table, columns[0], family)


def _could_hold(target: Target, table: Table, column: Column) -> bool:
    """Whether a key has rows enough for a column's distinct values, as far as statistics know."""
    known = column.distinct is not None and target.table.estimated_rows is not None
    return not known or _distinct(table, column) <= 1.5 * (target.table.estimated_rows or 0)


def names_match(table: Table, column: str, target: Table, key: str, *, is_key: bool) -> bool:
    """Whether a column's name says it refers to `target.key`: carrier → airlines.carrier, author_user_id → users.id, parent_id → its own table's id.

    A column that identifies its own table refers to another of the same key's name only when that name speaks of the other (user_id → users).
    """
    stem = singular(target.name)
    if table is target:
        return column == f"parent_{key}"
    if is_key:
        return (column != key and column in {stem, f"{stem}_{key}"}) or (column == key and stem in key)
    return any(
        column == name or (column.endswith(f"_{name}") and name != stem) for name in names_for(target, key)
    )


def names_for(target: Table, key: str) -> set[str]:
    """What a column that refers to a key may be called: passenger, passenger_id, passengerid, passengers_id; carrier, where the key's name says enough."""
    stem = singular(target.name)
    return {stem, f"{stem}_{key}", f"{stem}{key}", f"{target.name}_{key}"} | ({key} - GENERIC)


def _likely(pair: Reference, found: dict[str, Any]) -> bool:
    return bool(found["found"] >= (0.3 if pair.evidence == "name" else 0.8) * found["values"]) and (
        found["values"] > 0 or pair.evidence == "name"
    )


def _included(reference: Reference) -> bool:
    """By name half of the values must be there (the rest are orphans to look at); by values alone nearly all, and at least three."""
    if reference.evidence == "name":
        return reference.orphan_values <= 0.5 * reference.values
    return reference.values >= 3 and reference.orphan_values <= 0.1 * reference.values  # noqa: PLR2004 - as the docstring says


def _pair(number: int, pair: Reference, dialect: Dialect) -> dict[str, Any]:
    columns, keys = [dialect.name(c) for c in pair.columns], [dialect.name(k) for k in pair.keys]
    shown = [f"d.{column}" for column in columns]
    return {
        "number": number,
        "table": dialect.name(*pair.table.split(".", 1)),
        "columns": ", ".join(columns),
        "present": " AND ".join(f"{column} IS NOT NULL" for column in columns),
        "target": dialect.name(*pair.target.split(".", 1)),
        "key": keys[0],
        "match": " AND ".join(f"k.{key} = {column}" for key, column in zip(keys, shown, strict=True)),
        "shown": f"({shown[0]})::text" if len(shown) == 1 else f"ROW({', '.join(shown)})::text",
    }


# -- values ----------------------------------------------------------------------------------------------------------------------------


def sample_values(reader: Reader, tables: Sequence[Table]) -> list[ColumnSample]:
    """What the first rows' texts and numbers really are, for every column that could be narrower than its type."""
    if reader.kind != "postgresql":
        return _sample_each(reader, tables)
    looked_at = [(t, cs) for t in tables if (cs := [c for c in t.columns if _may_be_narrower(c)])]
    parts = []
    for number, (table, columns) in enumerate(looked_at):
        names = [sql.identifier(c.name) for c in columns]
        values = ", ".join(f"({place}, head.{name}::text)" for place, name in enumerate(names))
        parts.append(
            {
                "number": number,
                "columns": ", ".join(names),
                "table": table.quoted,
                "values": values,
                "limit": VALUE_SAMPLE,
            }
        )
    samples = []
    for row in _together(reader, "schema_value_sample", parts):
        table, columns = looked_at[row.pop("number")]
        samples.append(ColumnSample(table=table.full_name, column=columns[row.pop("place")].name, **row))
    return sorted(samples, key=lambda s: (s.table, s.column))


def _sample_each(reader: Reader, tables: Sequence[Table]) -> list[ColumnSample]:
    """The same column by column, for engines without LATERAL VALUES."""
    dialect = dialects.BY_KIND[reader.kind]
    looked_at = [(t, c) for t in tables for c in t.columns if _may_be_narrower(c)]
    parts = [
        {
            "number": number,
            "column": dialect.name(column.name),
            "table": dialect.name(table.schema_name, table.name),
            "limit": VALUE_SAMPLE,
        }
        for number, (table, column) in enumerate(looked_at)
    ]
    samples = []
    for row in _together(reader, f"{reader.kind}_value_sample", parts):
        table, column = looked_at[row.pop("number")]
        moments = 0 if dialect.text_holds_moments else row["moments"]
        samples.append(ColumnSample(table=table.full_name, column=column.name, **row | {"moments": moments}))
    return sorted(samples, key=lambda s: (s.table, s.column))


KEPT_AS = {
    "integer": ("integer",),
    "bigint": ("integer",),
    "text": ("text",),
    "character varying": ("text",),
    "double precision": ("real", "integer"),
    "numeric": ("real", "integer"),
}


def strange_values(reader: Reader, tables: Sequence[Table]) -> list[StrangeValues]:
    """Columns of SQLite that hold another storage class than their type's affinity gives, counted on all rows.

    https://www.sqlite.org/datatype3.html
    """
    if reader.kind != "sqlite":
        return []
    dialect = dialects.SQLITE
    looked_at = [(t, c) for t in tables for c in t.columns if c.base_type in KEPT_AS and not c.generated]
    statements = {}
    for number, (table, column) in enumerate(looked_at):
        usual = ", ".join(f"'{kind}'" for kind in KEPT_AS[column.base_type])
        name, source = dialect.name(column.name), dialect.name(table.name)
        statements[str(number)] = (
            f"SELECT typeof({name}) AS kept_as, count(*) AS n FROM {source} WHERE typeof({name}) NOT IN ('null', {usual}) GROUP BY 1"  # noqa: S608 - quoted
        )
    answers = reader.read("ask", statements=statements)
    return [
        StrangeValues(
            table=table.full_name,
            column=column.name,
            rows=sum(row["n"] for row in rows),
            kept_as=tuple(row["kept_as"] for row in rows),
        )
        for number, (table, column) in enumerate(looked_at)
        if (rows := answers[str(number)])
    ]


def _may_be_narrower(column: Column) -> bool:
    return FAMILIES.get(column.base_type) == "text" or column.base_type in {
        "numeric",
        "real",
        "double precision",
    }


def _together(reader: Reader, name: str, parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers of one named query for all its parts, asked as one statement, or several where they are very many."""
    if reader.kind != "postgresql":
        return _one_by_one(reader, name.replace("schema_", "elsewhere_", 1), parts)
    template = sql.load(name)
    rows: list[dict[str, Any]] = []
    for start in range(0, len(parts), PARTS):
        texts = [template.format(**part) for part in parts[start : start + PARTS]]
        rows += reader.read("query", sql="\nUNION ALL\n".join(texts))
    return rows


RENAMED = {"row_count": "rows", "value_count": "values"}  # ROWS and VALUES are reserved on some engines


def _one_by_one(reader: Reader, name: str, parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers part by part: one that the engine refuses (collations that do not mix, say) leaves the others as they are."""
    template = sql.load(name)
    answers = reader.read("ask", statements={str(n): template.format(**part) for n, part in enumerate(parts)})
    rows = [row for answer in answers.values() for row in answer or ()]
    return [{RENAMED.get(key, key): value for key, value in row.items()} for row in rows]
