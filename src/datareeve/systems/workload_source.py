"""What an application really asks of a database: read from a trace, a server log, a file of statements or pg_stat_statements.

Statements that differ only in their values are one *family*, known by the fingerprint of its text with `$1`, `$2` in place of values.
Families, counts and timings leave this module. Whole statements and their parameters are personal data: they are kept in this
process's memory only, as examples, and go nowhere but back to a database (`workload_replay`).

A recording is tolerant: control characters, wrong encodings, a half-written last line and statements that no parser knows are
counted, and the rest is used.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_STATEMENTS = 2_000_000  # of one recording; the rest of the file is not read, and `truncated` says so
EXAMPLES_KEPT = 64  # of one family, spread evenly over the recording
SHAPES_CACHED = 50_000
OWN_MARK = "/* datareeve */"  # at the end of every statement that Datareeve reads with: it is no workload of the application
OWN_NAME = "datareeve"  # how the names of our sessions begin
READS = {"select", "with", "values", "table"}
WRITES = {"insert", "update", "delete", "merge"}
CONTROL = {
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "set",
    "reset",
    "show",
    "discard",
    "deallocate",
}


class Statement(NamedTuple):
    """One execution, as the source tells it. `ms` and `rows` are None where the source does not say."""

    session: str
    text: str
    parameters: list[Any] | dict[str, Any] | None = None
    ms: float | None = None
    rows: int | None = None
    at: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """A statement without its values. `text` is what was written, `sql` the same in one canonical spelling."""

    fingerprint: str
    sql: str
    text: str
    kind: str  # read, write, control or other
    parsed: bool
    tables: tuple[str, ...] = ()


@dataclass(slots=True)
class Family:
    """The executions of one shape."""

    shape: Shape
    calls: int = 0
    rows: int = 0
    counts_rows: bool = False
    timed: int = 0
    total_ms: float = 0.0
    ms: array[float] = field(default_factory=lambda: array("d"))
    leading_wildcard: bool = False
    examples: list[Statement] = field(default_factory=list)
    stride: int = 1
    when: array[float] = field(
        default_factory=lambda: array("d")
    )  # seconds since 1970 of each of `ms`; NaN where not told
    squares: float = 0.0  # sum of the squared milliseconds
    min_ms: float = math.inf
    max_ms: float = 0.0
    nested: bool = False  # only ever run inside of functions
    resources: Counter[str] = field(default_factory=Counter)  # blocks, WAL bytes, planning, by name
    waits: Counter[str] = field(default_factory=Counter)  # of samples: what was waited for, how often
    template: str = ""  # a text with open parameters, from which executions are invented
    longest: float = -1.0  # milliseconds of the entry that the template is from

    def add(self, statement: Statement) -> None:
        """Count one execution, and keep it as an example when its turn comes."""
        if (ms := statement.ms) is not None:
            self.timed += 1
            self.total_ms += ms
            self.squares += ms * ms
            self.min_ms = min(self.min_ms, ms)
            self.max_ms = max(self.max_ms, ms)
            self.ms.append(ms)
            self.when.append(_epoch(statement.at) if statement.at else math.nan)
        if statement.rows is not None:
            self.rows += statement.rows
            self.counts_rows = True
        if "ike" in statement.text.lower():
            self.leading_wildcard = self.leading_wildcard or _starts_with_wildcard(statement)
        if self.calls % self.stride == 0:
            self.examples.append(statement)
            if len(self.examples) > EXAMPLES_KEPT:
                self.examples = self.examples[::2]
                self.stride *= 2
        self.calls += 1

    def open_text(self) -> str:
        """A text of it with open parameters, as the source has it; empty where there is none."""
        return self.template or next((s.text for s in self.examples if s.parameters is None), "")

    def summary(self) -> dict[str, Any]:
        """The family as JSON, without any value."""
        times = sorted(self.ms)
        known = self.timed and self.max_ms > 0
        return {
            "fingerprint": self.shape.fingerprint,
            "sql": self.shape.sql,
            "calls": self.calls,
            "total_ms": round(self.total_ms, 3) if self.timed else None,
            "mean_ms": round(self.total_ms / self.timed, 3) if self.timed else None,
            **{f"p{p}_ms": round(quantile(times, p), 3) if times else None for p in (50, 95, 99)},
            "min_ms": round(self.min_ms, 6) if known else None,
            "max_ms": round(self.max_ms, 6) if known else None,
            "squares": self.squares if self.timed else None,
            "rows": self.rows if self.counts_rows else None,
            "nested": self.nested,
            "resources": {name: round(value, 3) for name, value in sorted(self.resources.items()) if value},
            "waits": dict(self.waits.most_common()),
            "is_write": self.shape.kind == "write",
            "parsed": self.shape.parsed,
            "tables": list(self.shape.tables),
            "leading_wildcard": self.leading_wildcard,
            "examples": len(self.examples),
            "example_ref": self.shape.fingerprint,
        }


class Seen(NamedTuple):
    """One execution within its session, for recognising loops; `values` is a hash."""

    fingerprint: str
    values: int
    ms: float
    rows: int | None


@dataclass
class Recording:
    """The families of a source, and what was left out of them."""

    kind: str
    place: str
    families: dict[str, Family] = field(default_factory=dict)
    sessions: dict[str, list[Seen]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""
    why_empty: str = ""
    hidden_ms: float = 0.0
    reset: float | None = None  # seconds since 1970, from which on it counts
    exact: bool = False  # holds the time of every single execution that ran
    at_least_ms: float | None = None  # only executions as long as that are recorded
    notes: list[str] = field(
        default_factory=list
    )  # what the figures leave out, each a sentence without its full stop

    def fold(self, statements: Iterator[Statement]) -> Recording:
        """Take in every statement; gives itself."""
        shapes: dict[str, Shape] = {}
        for statement in statements:
            if self.counts["statements"] >= MAX_STATEMENTS:
                self.counts["truncated"] = 1
                break
            self.counts["statements"] += 1
            shape = shapes.get(statement.text) or shape_of(statement.text)
            if len(shapes) < SHAPES_CACHED:
                shapes[statement.text] = shape
            self._take(statement, shape)
        return self

    def _take(self, statement: Statement, shape: Shape) -> None:
        if statement.at:
            self.first = self.first or statement.at
            self.last = statement.at
        if shape.kind in {"control", "other"}:
            self.counts[shape.kind] += 1
            return
        self.counts["unparsed"] += not shape.parsed
        family = self.families.get(shape.fingerprint)
        if family is None:
            family = self.families[shape.fingerprint] = Family(shape)
        family.add(statement)
        if statement.session:
            values = hash(repr(statement.parameters) if statement.parameters else statement.text)
            seen = Seen(shape.fingerprint, values, statement.ms or 0.0, statement.rows)
            self.sessions.setdefault(statement.session, []).append(seen)

    def began(self) -> float:
        """When its first statement was, in seconds since 1970; NaN where the source does not tell."""
        return _epoch(self.first) if self.first else math.nan

    def summary(self) -> dict[str, Any]:
        """The recording as JSON, without any value: source, families (by total time, longest first) and loops."""
        families = sorted(
            (f.summary() for f in self.families.values()),
            key=lambda f: (-(f["total_ms"] or 0), -f["calls"], f["sql"]),
        )
        source = {
            "kind": self.kind,
            "place": self.place,
            "why_empty": self.why_empty,
            "sessions": len(self.sessions),
            "seconds": _seconds_between(self.first, self.last),
            "notes": self.notes,
            "exact": self.exact,
            "reset": self.reset,
            **{name: self.counts[name] for name in COUNTED},
        }
        return {"source": source, "families": families, "loops": find_loops(self.sessions)}


COUNTED = (
    "statements",
    "skipped",
    "wrong_encoding",
    "unparsed",
    "control",
    "other",
    "truncated",
    "own",
    "hidden",
    "evicted",
    "samples",
)


def record(kind: str, path: Path, shown: str, database: str) -> Recording:
    """Read a file of a declared kind. Statements of other databases in a server log are left out.

    Errors: `BadInput` `workload.missing`, `workload.unreadable`.
    """
    recording = Recording(kind, shown, exact=kind == "trace")
    reader = {"trace": _trace, "log": _log, "sql": _sql_file}[kind]
    try:
        return recording.fold(reader(path, recording.counts, database))
    except FileNotFoundError:
        raise BadInput(
            "workload.missing",
            f"There is no workload file {shown}.",
            "Correct systems.*.workload.path in estate.yaml.",
        ) from None
    except OSError as error:
        raise BadInput(
            "workload.unreadable", f"{shown} cannot be read: {error.strerror}.", "Mend its rights."
        ) from None


# -- files ------------------------------------------------------------------------------------------------------------------------

DECODE = json.JSONDecoder(
    strict=False
).decode  # strict=False: control characters inside strings are let through


def _lines(path: Path, counts: Counter[str]) -> Iterator[str]:
    with path.open("rb") as file:
        for line in file:
            try:
                text = line.decode()
            except UnicodeDecodeError:
                # A server of another encoding: LATIN1 gives every byte a character, so names and values stay as long as they were.
                counts["wrong_encoding"] += 1
                text = line.decode("latin-1")
            yield text.replace("\0", "")


def _objects(path: Path, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, one a line; other lines are counted."""
    for line in _lines(path, counts):
        if not line.strip():
            continue
        try:
            value = DECODE(line.strip())
        except ValueError:
            value = None
        if isinstance(value, dict):
            yield value
        else:
            counts["skipped"] += 1


SESSION_KEYS = ("trace", "trace_id", "request", "request_id", "session")


def _trace(path: Path, counts: Counter[str], _database: str) -> Iterator[Statement]:
    for line in _objects(path, counts):
        text, parameters = line.get("sql"), line.get("parameters")
        if not isinstance(text, str) or not text.strip():
            counts["skipped"] += 1
            continue
        given = parameters if isinstance(parameters, (list, dict)) and parameters else None
        # A request's own id says more than its connection's: a pool hands one connection to many requests, and several to one.
        session = next((str(line[key]) for key in SESSION_KEYS if line.get(key) is not None), "")
        yield Statement(
            session, text, given, _number(line.get("ms")), _whole(line.get("rows")), str(line.get("at") or "")
        )


def _log(path: Path, counts: Counter[str], database: str) -> Iterator[Statement]:
    with path.open("rb") as file:
        is_json = file.read(1) == b"{"
    records = _json_log(path, counts) if is_json else _csv_log(path, counts)
    for at, logged_database, session, message, detail, application in records:
        if application.startswith(OWN_NAME):
            counts["own"] += 1
            continue
        if (match := DURATION.match(message)) is None or (logged_database and logged_database != database):
            counts["skipped"] += 1
            continue
        yield Statement(session, match["text"], _logged_parameters(detail), float(match["ms"]), None, at)


# 'duration: 1.2 ms  statement: SELECT ...' or '... execute <unnamed>: SELECT ...'; parse and bind lines are not executions.
DURATION = re.compile(r"duration: (?P<ms>[\d.]+) ms\s+(?:statement|execute [^:]*): (?P<text>.+)", re.DOTALL)
LogRecord = tuple[str, str, str, str, str, str]


def _json_log(path: Path, counts: Counter[str]) -> Iterator[LogRecord]:
    for line in _objects(path, counts):
        at, database, session, message, detail, application = (str(line.get(key) or "") for key in JSON_KEYS)
        yield at, database, session, message, detail, application


JSON_KEYS = ("timestamp", "dbname", "session_id", "message", "detail", "application_name")
CSV_COLUMNS = 23  # of PostgreSQL 13; later versions add columns at the end


def _csv_log(path: Path, counts: Counter[str]) -> Iterator[LogRecord]:
    csv.field_size_limit(2**24)
    rows = csv.reader(_lines(path, counts))
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            counts["skipped"] += 1
            continue
        if len(row) < CSV_COLUMNS:
            counts["skipped"] += 1
            continue
        yield row[0], row[2], row[5], row[13], row[14], row[22]


LOGGED = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")


def _logged_parameters(detail: str) -> list[Any] | None:
    if not detail[:12].lower().startswith("parameters: "):
        return None
    values = {
        int(n): None if text == "NULL" else text[1:-1].replace("''", "'")
        for n, text in LOGGED.findall(detail)
    }
    return [values.get(n) for n in range(1, max(values, default=0) + 1)] or None


def _sql_file(path: Path, counts: Counter[str], _database: str) -> Iterator[Statement]:
    text = "".join(_lines(path, counts))
    start = 0
    for token in LEXER.finditer(text):
        if token.lastgroup == "end":
            yield from _nonempty(text[start : token.start()])
            start = token.end()
    yield from _nonempty(text[start:])


def _nonempty(text: str) -> Iterator[Statement]:
    if _without_values(text).strip():
        yield Statement("", text.strip())


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value >= 0 else None


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int) and value >= 0 else None


# -- shapes -----------------------------------------------------------------------------------------------------------------------

# Words are tokens too, though they stay: so the other alternatives are tried only where a token can begin.
LEXER = re.compile(
    r"""
    (?P<string>[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|\Z))
  | (?P<word>[^\W\d][\w$]*)
  | (?P<number>0[xXoObB][0-9a-fA-F_]+|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<given>\$\d+|%\(\w+\)s|%s)
  | (?P<dollar>\$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z))
  | (?P<name>"(?:[^"]|"")*"?)
  | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
  | (?P<percent>%%)
  | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)
# Most statements hold plain strings and numbers only: one pass without a callback is three times as fast.
PLAIN = re.compile(r"'[^']*'|\b\d[\w.]*")
NOT_PLAIN = re.compile(r"[\"$%\\;]|--|/\*|[eEbBxXnN&]'")
KEPT = {"word", "name"}
WRITTEN = {"comment": " ", "percent": "%", "end": ";"}


def _without_values(text: str) -> str:
    """Values and parameters become `$0 `, comments and runs of space one space."""
    if text.count("'") % 2 or NOT_PLAIN.search(text):
        bare = LEXER.sub(
            lambda t: t[0] if t.lastgroup in KEPT else WRITTEN.get(t.lastgroup or "", "$0 "), text
        )
    else:
        bare = PLAIN.sub("$0 ", text)
    return " ".join(bare.translate(CONTROLS).split())


CONTROLS = dict.fromkeys((*range(32), 127), " ")
MANY = r"\$0(?:\s*,\s*\$0)*"
TIDY = (
    (re.compile(r"\$0(?: \$0)+"), "$0"),  # 'it''s', seen as two strings
    (re.compile(r"\b(interval|timestamptz|timestamp|date|time) ?\$0", re.IGNORECASE), r"$0::\1"),
    (re.compile(rf"\b(IN) ?\( ?{MANY} ?\)", re.IGNORECASE), r"\1 ($0)"),
    (re.compile(rf"\b(ARRAY) ?\[ ?{MANY} ?\]", re.IGNORECASE), r"\1[$0]"),
    (re.compile(rf"\b(VALUES ?\([^()]*\))(?: ?, ?\( ?{MANY} ?\))+", re.IGNORECASE), r"\1"),
)


def shape_of(text: str) -> Shape:
    """The shape of a statement. What sqlglot cannot parse is known by its text without values."""
    bare = _without_values(text)
    if (known := _SHAPES.get(bare)) is None:
        if len(_SHAPES) >= SHAPES_CACHED:
            _SHAPES.clear()
        known = _SHAPES[bare] = _make_shape(bare)
    return known


_SHAPES: dict[str, Shape] = {}


def _make_shape(bare: str) -> Shape:
    for pattern, tidy in TIDY:
        bare = pattern.sub(tidy, bare)
    pieces = bare.strip(" ;").split("$0")
    # The space after `$1` is for sqlglot's tokenizer, which takes `$1,$` for the opening of a dollar-quoted string.
    text = " ".join((pieces[0] + "".join(f"${n} {piece}" for n, piece in enumerate(pieces[1:], 1))).split())
    kind = _kind_of(text.lstrip("( ").partition(" ")[0].lower())
    tables: tuple[str, ...] = ()
    sql, parsed = text, False
    if kind in {"read", "write"}:
        sql, parsed, tables, writes = _canonical(text)
        kind = "write" if writes else "other" if _only_catalogs(tables) else kind
    return Shape(
        hashlib.sha256(sql.encode(errors="replace")).hexdigest()[:12], sql, text, kind, parsed, tables
    )


def _only_catalogs(tables: tuple[str, ...]) -> bool:
    """Whether only the server's own catalogs are read: by pg_dump, a monitor or Datareeve itself, not by an application."""
    return bool(tables) and all(name.lower().startswith("pg_") for name in tables)


def _kind_of(word: str) -> str:
    for kind, words in (("read", READS), ("write", WRITES), ("control", CONTROL)):
        if word in words:
            return kind
    return "other"


# What is written must be read again: `$4])[$5` would open a dollar-quoted string, `$4 ])[$5` does not.
LIKE_A_TAG = re.compile(r"(\$\d+)(?=[^\s$]+\$)")


def _canonical(sql: str) -> tuple[str, bool, tuple[str, ...], bool]:
    """One spelling of a statement, whether it was parsed, its tables, and whether it writes or locks rows."""
    import sqlglot  # noqa: PLC0415 - heavy, and needed only where a workload is read
    from sqlglot import exp  # noqa: PLC0415

    try:
        tree = sqlglot.parse_one(sql, read="postgres")
        text = LIKE_A_TAG.sub(r"\1 ", tree.sql(dialect="postgres", comments=False))
    except (sqlglot.errors.SqlglotError, RecursionError):
        return sql, False, (), False
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = sorted({_named(t) for t in tree.find_all(exp.Table) if t.name and (t.db or t.name not in ctes)})
    if not tables and any(f.name.lower().startswith("pg_") for f in tree.find_all(exp.Anonymous)):
        tables = ["pg_catalog"]  # asks the server to do something; that is no reading of the application's
    writes = tree.find(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Lock) is not None
    return text, True, tuple(tables), writes


def _named(table: Any) -> str:
    """A table's bare name; of the information schema with that before it, so that it is known for a catalog."""
    return f"pg_{table.db}.{table.name}" if table.db.lower() == "information_schema" else str(table.name)


def _starts_with_wildcard(statement: Statement) -> bool:
    if re.search(r"like\s+e?'[%_]", statement.text, re.IGNORECASE):
        return True
    values = (
        statement.parameters.values()
        if isinstance(statement.parameters, dict)
        else statement.parameters or ()
    )
    return any(isinstance(value, str) and value[:1] in {"%", "_"} for value in values)


def executable(statement: Statement) -> tuple[str, Any] | None:
    """The statement as psycopg takes it; None where its parameters were not recorded."""
    text = statement.text.replace("\0", "").strip().rstrip(";")
    placeholders = [t[0] for t in LEXER.finditer(text) if t.lastgroup == "given"]
    if statement.parameters is None:
        return None if any(p.startswith("$") for p in placeholders) else (text, None)
    if not any(p.startswith("$") for p in placeholders):
        return text, statement.parameters
    numbered = LEXER.sub(
        lambda t: f"%(p{t[0][1:]})s" if t.lastgroup == "given" else t[0], text.replace("%", "%%")
    )
    return numbered, {f"p{n}": value for n, value in enumerate(statement.parameters, 1)}


# -- loops ------------------------------------------------------------------------------------------------------------------------

LEAST_ROUNDS = 3  # fewer repeats than this are not called a loop
BODY_AT_MOST = 3  # statements asked for each row
LEAST_OF_ROUNDS = 0.3  # a statement of the body may be missed in the others
DEPTH = 4  # loops within loops
LEAST_OF_ROWS = 0.8  # are looked up one by one: some may lack the key
LEAST_OF_PARENTS = 0.5  # a loop follows at least every second time that its first query gave rows
MOSTLY = 0.7
LUCK = 3.0  # a loop is seen this many times as often as it would be by chance, and as many standard deviations more often

LoopKey = tuple[str, tuple[str, ...]]


@dataclass(slots=True)
class _Loop:
    """What was seen of one loop: a parent and its children."""

    loops: int = 0
    rows: int = 0
    known_rows: int = 0  # loops whose parent told its rows
    calls: Counter[str] = field(default_factory=Counter)
    ms: float = 0.0

    def add(self, parent: Seen, body: list[Seen], *, tells_rows: bool) -> None:
        self.loops += 1
        self.rows += parent.rows or 0
        self.known_rows += tells_rows
        self.calls.update(one.fingerprint for one in body)
        self.ms += sum(one.ms for one in body)


def find_loops(sessions: dict[str, list[Seen]]) -> list[dict[str, Any]]:
    """N+1: after a query that gave k rows, the same one to three statements follow about k times with changing values.

    Loops within loops are found from the inside: once its body is taken out, an inner loop is one statement of the outer one. What would
    be seen as often by chance, in sessions that ask the same statement all the time, is left out.
    """
    found: dict[LoopKey, _Loop] = {}
    outside: Counter[str] = Counter()
    parents: dict[str, Counter[int | None]] = {}
    asked: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for seen in sessions.values():
        asked.update(one.fingerprint for one in seen)
        for one in seen:
            if one.rows is None or one.rows >= LEAST_ROUNDS:
                parents.setdefault(one.fingerprint, Counter())[one.rows] += 1
        left = [one.fingerprint for one in _without_loops(seen, found)]
        outside.update(left)
        pairs.update(pairwise(left))
    loops = [
        _told(key, loop)
        for key, loop in found.items()
        if _is_no_chance(key, loop, (outside, pairs), parents, asked)
    ]
    return sorted(loops, key=lambda loop: (-loop["total_ms"], loop["parent"], loop["children"]))


def _without_loops(seen: list[Seen], found: dict[LoopKey, _Loop]) -> list[Seen]:
    """What is left of a session when the bodies of its loops are taken out, which are written down in `found`."""
    for _ in range(DEPTH):
        left: list[Seen] = []
        at = 0
        while at < len(seen):
            children, body, foreign = _loop_after(seen, at)
            left.append(seen[at])
            if children:
                tells = seen[at].rows is not None
                found.setdefault((seen[at].fingerprint, children), _Loop()).add(
                    seen[at], body, tells_rows=tells
                )
                left += foreign
            at += 1 + len(body) + len(foreign)
        if len(left) == len(seen):
            break
        seen = left
    return seen


def _told(key: LoopKey, loop: _Loop) -> dict[str, Any]:
    parent, children = key
    return {
        "parent": parent,
        "children": list(children),
        "loops": loop.loops,
        "calls": loop.calls.total(),
        "rows": loop.rows,
        "total_ms": round(loop.ms, 3),
    }


def _is_no_chance(
    key: LoopKey,
    loop: _Loop,
    outside: tuple[Counter[str], Counter[tuple[str, str]]],
    parents: dict[str, Counter[int | None]],
    asked: Counter[str],
) -> bool:
    """Whether a loop is seen more often than in a session that asks its statements in any order."""
    parent, children = key
    if (
        not loop.known_rows
    ):  # the source tells no rows: only a habit counts, of statements that are hardly ever asked otherwise
        often = loop.loops >= max(LEAST_ROUNDS, LEAST_OF_PARENTS * parents[parent].total())
        return often and loop.calls.total() >= MOSTLY * sum(asked[child] for child in children)
    if loop.loops < min(LEAST_ROUNDS, LEAST_OF_PARENTS * parents[parent].total()):
        return False  # once among many chances is no habit
    alone, pairs = outside
    calls = sum(alone[child] for child in children)
    share = calls / max(1, alone.total())
    # Outside of loops too an application asks the same in bursts: what follows a child is again one more often than anywhere.
    again = max(share, sum(pairs[a, b] for a in children for b in children) / max(1, calls))
    by_chance = sum(
        count * share * again ** (max(LEAST_ROUNDS, math.ceil(LEAST_OF_ROWS * (rows or 0))) - 1)
        for rows, count in parents[parent].items()
    )
    return bool(loop.loops >= max(LUCK * by_chance, by_chance + LUCK * math.sqrt(by_chance)))


Body = tuple[tuple[str, ...], list[Seen], list[Seen]]
MOST_FOREIGN = 1 / 3  # of a loop's length, asked in between by somebody else on a shared connection
LEAST_IN_A_CROWD = 8  # rounds, where others' statements stand in between


def _loop_after(seen: list[Seen], at: int) -> Body:
    """The loop that follows an execution: its families, its executions, and others' in between; nothing where none follows.

    A row may miss a statement (no plane is looked up where the tail number is unknown), so the order within a round is not asked for.
    """
    rows = seen[at].rows
    if rows is not None and rows < LEAST_ROUNDS:
        return (), [], []
    # The widest first: children that are asked in batches, one after the other, are one loop. Without row counts, two families at most:
    # in an application of four statements the other three follow upon anything.
    for size in range(BODY_AT_MOST if rows is not None else BODY_AT_MOST - 1, 0, -1):
        body = _body(seen, at, size)
        if len({one.fingerprint for one in body}) == size and _are_rounds(body, rows):
            return tuple(sorted({one.fingerprint for one in body})), body, []
    return _loop_in_a_crowd(seen, at) if rows is not None and rows >= LEAST_IN_A_CROWD else ((), [], [])


def _are_rounds(body: list[Seen], rows: int | None) -> bool:
    calls = Counter(one.fingerprint for one in body)
    rounds = max(calls.values())
    changing = len({one.values for one in body}) > rounds // 2
    expected = rows is None or LEAST_OF_ROWS * rows <= rounds <= rows + 1
    return min(calls.values()) >= max(LEAST_ROUNDS, LEAST_OF_ROUNDS * rounds) and changing and expected


def _body(seen: list[Seen], at: int, size: int) -> list[Seen]:
    """The executions that follow and belong to at most `size` families, the one at `at` not among them."""
    families: set[str] = set()
    end = at + 1
    while end < len(seen) and seen[end].fingerprint != seen[at].fingerprint:
        if len(families | {seen[end].fingerprint}) > size:
            break
        families.add(seen[end].fingerprint)
        end += 1
    return seen[at + 1 : end]


def _loop_in_a_crowd(seen: list[Seen], at: int) -> Body:
    """A loop over one family on a connection that a pool shares: a few statements of others stand in between."""
    rows = seen[at].rows or 0
    span = seen[at + 1 : at + 1 + int((rows + 1) * (1 + MOST_FOREIGN))]
    again = next((n for n, one in enumerate(span) if one.fingerprint == seen[at].fingerprint), len(span))
    span = span[:again]
    common = Counter(one.fingerprint for one in span).most_common(1)
    if not common:
        return (), [], []
    child = common[0][0]
    last = max(n for n, one in enumerate(span) if one.fingerprint == child)
    body = [one for one in span[: last + 1] if one.fingerprint == child]
    foreign = [one for one in span[: last + 1] if one.fingerprint != child]
    if len(foreign) <= MOST_FOREIGN * len(body) and _are_rounds(body, rows):
        return (child,), body, foreign
    return (), [], []


# -- figures ----------------------------------------------------------------------------------------------------------------------


def quantile(ordered: list[float], percent: float) -> float:
    """The nearest-rank percentile of values that are sorted already."""
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * percent // 100) - 1))]


def _seconds_between(first: str, last: str) -> float | None:
    try:
        return round((_moment(last) - _moment(first)).total_seconds(), 3)
    except (ValueError, TypeError):
        return None


def _epoch(at: str) -> float:
    """Seconds since 1970, to the second; NaN where the text is no moment. Moments without a zone are taken as UTC."""
    second = at[:19] + at[23:] if at[19:20] == "." else at
    if (known := _EPOCHS.get(second)) is None:
        if len(_EPOCHS) >= SHAPES_CACHED:
            _EPOCHS.clear()
        known = _EPOCHS[second] = _seconds_of(at)
    return known


_EPOCHS: dict[str, float] = {}


def _seconds_of(at: str) -> float:
    try:
        moment = _moment(at)
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _moment(text: str) -> datetime:
    # Server logs write '2025-07-20 10:00:00.123 UTC'; the zone's abbreviation does not matter for a difference.
    return datetime.fromisoformat(re.sub(r" [A-Z]{2,5}$", "", text))
