"""Statements written in another way: whether they are the same, and faster.

Old and new text are executed on a disposable copy with the values that were recorded. The server itself boils each answer down to a hash,
so that no row leaves it; times are taken in turn, old, new, old, new. The values of a recorded statement are put into the new text by
their place: `$3` of the family's shape is the third constant or parameter of what was recorded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg

from datareeve.core.errors import BadInput, DatareeveError
from datareeve.systems import pg_plans, workload_replay
from datareeve.systems.postgres import refuse_several, translate
from datareeve.systems.workload_examples import invent
from datareeve.systems.workload_source import CONTROLS, LEXER, Family, Statement, executable, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.systems.postgres import Postgres

Case = tuple[str, Any]
Session = psycopg.Connection[dict[str, Any]]
CASES = 4  # recorded executions that are compared

# -- statements that were given, and not recorded ----------------------------------------------------------------------------------

# A given statement's values are personal data as recorded ones are: they stay in this process, with the system that they were given for.
_GIVEN: WeakKeyDictionary[Postgres, dict[str, Family]] = WeakKeyDictionary()


def given(system: Postgres, sql: str) -> dict[str, Any]:
    """A statement as a family of its own: {fingerprint, sql, kind, parsed}.

    Errors: `BadInput` `statement.unparsed`, and the server's own where it is not one statement.
    """
    shape = shape_of(sql)
    if not shape.parsed or shape.kind not in {"read", "write"}:
        raise BadInput(
            "statement.unparsed", "The statement cannot be parsed.", "Give one plain SQL statement."
        )
    family = _GIVEN.setdefault(_root(system), {}).setdefault(shape.fingerprint, Family(shape))
    statement = Statement("", sql)
    if executable(statement) is not None:
        with system.reading() as cursor:
            refuse_several(cursor.connection, sql)
        family.examples = [statement]
    return {"fingerprint": shape.fingerprint, "sql": shape.sql, "kind": shape.kind, "parsed": shape.parsed}


def family_of(system: Postgres, fingerprint: str) -> Family:
    """A family, given or recorded. Errors: `BadInput` `workload.unknown-family`."""
    found = _GIVEN.get(_root(system), {}).get(fingerprint)
    return found or workload_replay.wanted(workload_replay.recording(system), [fingerprint])[0]


def _root(system: Postgres) -> Postgres:
    return system.original or system


# -- values by their place ---------------------------------------------------------------------------------------------------------

OPEN, SHUT = "\ue000", "\ue001"  # around a value's number; nobody writes them
MARK = rf"{OPEN}\d+{SHUT}"
MANY = rf"{MARK}(?:\s*,\s*{MARK})*"
VALUES = {"string", "number", "dollar", "given"}
WRITTEN = {"comment": " ", "percent": "%", "end": ";"}


class Token(NamedTuple):
    """A value as it was written: its kind by `LEXER`, and its text."""

    kind: str
    text: str


def places(text: str) -> list[list[Token]] | None:
    """The values behind `$1`, `$2`, … of a statement's shape; several behind one that stands for a list. None where some are lost."""
    tokens: list[Token] = []

    def marked(token: re.Match[str]) -> str:
        if token.lastgroup not in VALUES:
            return WRITTEN.get(token.lastgroup or "", token[0])
        tokens.append(Token(token.lastgroup or "", token[0]))
        return f"{OPEN}{len(tokens) - 1}{SHUT} "

    bare = " ".join(LEXER.sub(marked, text).translate(CONTROLS).split())
    groups = {n: [token] for n, token in enumerate(tokens)}
    bare = re.sub(
        rf"\b(interval|timestamptz|timestamp|date|time) ?({MARK})", r"\2::\1", bare, flags=re.IGNORECASE
    )
    for opening in (r"IN ?\( ?", r"ARRAY ?\[ ?"):
        bare = re.sub(rf"\b{opening}({MANY})", lambda m: _joined(m, groups), bare, flags=re.IGNORECASE)
    bare = re.sub(rf"\b(VALUES ?\([^()]*\))(?: ?, ?\( ?{MANY} ?\))+", r"\1", bare, flags=re.IGNORECASE)
    found = [groups[n] for n in _numbers(bare)]
    return found if sum(map(len, found)) == len(tokens) else None


def _joined(match: re.Match[str], groups: dict[int, list[Token]]) -> str:
    first, *others = _numbers(match[1])
    groups[first] = [token for n in (first, *others) for token in groups[n]]
    return match[0].replace(match[1], f"{OPEN}{first}{SHUT} ")


def _numbers(text: str) -> list[int]:
    return [int(found[1:-1]) for found in re.findall(MARK, text)]


PARAMETER = re.compile(r"\$(\d+)")


def bound(statement: Statement, sql: str) -> Case | None:
    """`sql`, written with `$1`, `$2` of the shape, with a recorded statement's values; None where they are not all known."""
    behind = places(statement.text)
    if behind is None:
        return None
    numbers = {int(n) for n in PARAMETER.findall(sql)}
    if numbers and max(numbers) > len(behind):
        return None
    parameters = _parameters(statement)
    if parameters is None:
        whole = all(token.kind != "given" for group in behind for token in group)
        return (PARAMETER.sub(lambda m: _literal(behind[int(m[1]) - 1]), sql), None) if whole else None
    names = _named(behind)
    return PARAMETER.sub(lambda m: names[int(m[1]) - 1], sql.replace("%", "%%")), parameters


def _literal(group: list[Token]) -> str:
    return ", ".join(token.text for token in group)


def _parameters(statement: Statement) -> dict[str, Any] | None:
    if isinstance(statement.parameters, list):
        return {f"p{n}": value for n, value in enumerate(statement.parameters, 1)}
    return statement.parameters


def _named(behind: list[list[Token]]) -> list[str]:
    """For each place the text that psycopg takes: its parameters by name, its constants as they stand."""
    dollars = any(token.text.startswith("$") for group in behind for token in group if token.kind == "given")
    order = iter(range(1, 1 + sum(len(group) for group in behind)))

    def one(token: Token) -> str:
        if token.kind != "given":
            return token.text.replace("%", "%%") if dollars else token.text
        if token.text == "%s":
            return f"%(p{next(order)})s"
        return token.text if token.text.startswith("%(") else f"%(p{token.text[1:]})s"

    return [", ".join(one(token) for token in group) for group in behind]


def pairs(system: Postgres, family: Family, sql: str, limit: int) -> list[tuple[Case, Case]]:
    """Executions of a family as they were recorded, each with the same values in `sql`."""
    found: dict[str, tuple[Case, Case]] = {}
    for statement in family.examples:
        old, new = executable(statement), bound(statement, sql)
        if old is not None and new is not None:
            found.setdefault(repr(old), (old, new))
    if not found and not family.examples:
        numbered = PARAMETER.sub(r"%(p\1)s", sql.replace("%", "%%"))
        found = {repr(old): (old, (numbered, old[1])) for old in _general(system, family, limit)}
    every = list(found.values())
    return every[:: max(1, len(every) // limit)][:limit]


def _general(system: Postgres, family: Family, limit: int) -> list[Case]:
    if "$1" not in family.shape.text:
        return [(family.shape.text, None)]
    return list(invent(system, family.shape, limit))


# -- what may be told of constants -------------------------------------------------------------------------------------------------

UNITS = {
    "microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century",
}  # fmt: skip


def constants(system: Postgres, fingerprint: str) -> dict[str, dict[str, Any]]:
    """What holds of each `$n` of a family in every recorded execution; never a value, but for the names of units of time.

    {n: {literal, unit, pattern: plain|prefix|other|'', zero, one, empty, whole, kind: number|fraction|text|'', items, like: n of an equal literal}}
    """
    family = family_of(system, fingerprint)
    seen: dict[str, dict[str, Any]] = {}
    for statement in family.examples:
        behind = places(statement.text)
        if behind is None:
            return {}
        order = iter(range(10**6))
        values = [[_value(token, statement, order) for token in group] for group in behind]
        for n, (group, known) in enumerate(zip(behind, values, strict=True), 1):
            _merge(seen, str(n), _told(group, known, values))
    return seen


def _value(token: Token, statement: Statement, order: Iterator[int]) -> Any:
    if token.kind == "string" and token.text.startswith("'"):
        return token.text[1:-1].replace("''", "'")
    if token.kind == "number":
        return float(token.text) if re.search(r"[.eE]", token.text) else token.text
    if token.kind != "given" or statement.parameters is None:
        return None
    if isinstance(statement.parameters, dict):
        return statement.parameters.get(token.text[2:-2])
    at = next(order) if token.text == "%s" else int(token.text[1:]) - 1
    return statement.parameters[at] if at < len(statement.parameters) else None


def _told(group: list[Token], values: list[Any], every: list[list[Any]]) -> dict[str, Any]:
    value, literal = values[0], all(token.kind != "given" for token in group)
    text = value if isinstance(value, str) else ""
    is_text = isinstance(value, str) and group[0].kind != "number"
    number = group[0].kind == "number" or (isinstance(value, (int, float)) and not isinstance(value, bool))
    return {
        "literal": literal,
        "unit": text.lower() if is_text and text.lower() in UNITS else "",
        "pattern": _pattern(text) if is_text else "",
        "zero": literal and number and str(value) == "0",
        "one": literal and number and str(value) == "1",
        "empty": literal and is_text and not text,
        "whole": _is_whole(value),
        "kind": "fraction" if isinstance(value, float) else "number" if number else "text" if is_text else "",
        "items": len(group),
        "like": 1 + next(n for n, other in enumerate(every) if repr(other) == repr(values)) if literal else 0,
    }


def _pattern(text: str) -> str:
    if "\\" in text:
        return "other"
    if not re.search("[%_]", text):
        return "plain"
    return "prefix" if re.fullmatch("[^%_]+%", text) else "other"


def _is_whole(value: Any) -> bool:
    if isinstance(value, (int, float)):
        return float(value).is_integer()
    return isinstance(value, str) and re.fullmatch(r"0|-?[1-9]\d{0,17}", value) is not None


def _merge(seen: dict[str, dict[str, Any]], n: str, told: dict[str, Any]) -> None:
    """What holds of every execution: a flag that once does not hold is false, a word that once differs is unknown."""
    if (known := seen.get(n)) is None:
        seen[n] = told
        return
    for key, value in told.items():
        if key == "items":
            known[key] = max(known[key], value)
        elif known[key] != value:
            known[key] = False if isinstance(value, bool) else 0 if key == "like" else ""


# -- the same, and faster? ---------------------------------------------------------------------------------------------------------

COLUMNS = "SELECT * FROM ({}) AS datareeve_row LIMIT 0"
DIGEST = """
SELECT count(*) AS rows, coalesce(sum(hashtextextended(t, 1)::numeric), 0)::text || '/' || coalesce(sum(hashtextextended(t, 2)::numeric), 0)::text AS content,
       coalesce(sum(hashtextextended(n || ':' || t, 3)::numeric), 0)::text AS ordered
  FROM (SELECT datareeve_row::text AS t, row_number() OVER () AS n FROM ({}) AS datareeve_row) AS texts
"""


def compare(
    system: Postgres, fingerprint: str, sql: str, rounds: int, statement_seconds: float
) -> dict[str, Any]:
    """Execute a family as recorded and as `sql`, READ ONLY, and tell whether the rows are the same and what each takes.

    Gives {cases, equal, ordered, failed, columns, old, new}: how many cases were compared, had equal multisets of rows, had them in the
    same order; what failed ('old 57014'); whether the columns' names and types are the same; and for each text {ms, buffers}, the
    total over the cases of each round.
    """
    family = family_of(system, fingerprint)
    tried = pairs(system, family, sql, CASES)
    told: dict[str, Any] = {
        "cases": len(tried),
        "equal": 0,
        "ordered": 0,
        "rows": 0,
        "columns": True,
        "failed": [],
    }
    with pg_plans.planning(system) as session:
        session.execute(f"SET statement_timeout = {int(statement_seconds * 1000)}")
        good = [pair for pair in tried if _same(session, pair, told)]
        told["old"], told["new"] = _timed(session, good, rounds) if good else ([], [])
    return told


def _same(session: Session, pair: tuple[Case, Case], told: dict[str, Any]) -> bool:
    """Whether both texts give the same rows; counted in `told`."""
    answers = []
    for name, case in zip(("old", "new"), pair, strict=True):
        try:
            answers.append(_digest(session, case))
        except psycopg.Error as error:
            told["failed"].append(f"{name} {translate(error, 'copy').code}")
            return False
        except DatareeveError as error:
            told["failed"].append(f"{name} {error.code}")
            return False
    old, new = answers
    told["columns"] &= old["columns"] == new["columns"]
    told["rows"] += old["rows"]
    same = bool(old["rows"] == new["rows"] and old["content"] == new["content"])
    told["equal"] += same
    told["ordered"] += same and old["ordered"] == new["ordered"]
    return same


def _digest(session: Session, case: Case) -> dict[str, Any]:
    text, parameters = case[0].rstrip().rstrip(";"), case[1]
    with session.transaction(force_rollback=True):
        if not parameters:
            refuse_several(session, text)
        described = session.execute(COLUMNS.format(text), parameters)
        columns = [(column.name, column.type_code) for column in described.description or ()]
        row = session.execute(DIGEST.format(text), parameters).fetchone() or {}
    return {**row, "columns": columns}


def _timed(
    session: Session, good: list[tuple[Case, Case]], rounds: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    totals: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for turn in range(rounds):
        order = (0, 1) if turn % 2 == 0 else (1, 0)  # whoever comes second finds warmer buffers
        found: list[dict[str, Any]] = [{"ms": 0.0, "buffers": 0}, {"ms": 0.0, "buffers": 0}]
        for pair in good:
            for which in order:
                with session.transaction(force_rollback=True):
                    run = workload_replay.analysed(session, pair[which])
                found[which]["ms"] += run["ms"]
                found[which]["buffers"] += run["buffers"]
        for which in (0, 1):
            totals[which].append({"ms": round(found[which]["ms"], 3), "buffers": found[which]["buffers"]})
    return totals


# -- a plan that was run -----------------------------------------------------------------------------------------------------------

ANALYZE = "ANALYZE, BUFFERS, VERBOSE, SETTINGS, FORMAT JSON"


def executed_plan(
    system: Postgres, sql: str | None, fingerprint: str | None, statement_seconds: float
) -> dict[str, Any]:
    """What EXPLAIN (ANALYZE, BUFFERS) tells of one execution, without constants: {Plan, Planning Time, Execution Time, JIT?}.

    Run in a READ ONLY transaction with a timeout. Errors: `BadInput` `workload.no-parameters`; `Refused` `postgres.read-only` for a write.
    """
    family = family_of(system, fingerprint or given(system, sql or "")["fingerprint"])
    cases = [case for one in family.examples if (case := executable(one))] or _general(system, family, 1)
    if not cases:
        raise BadInput("workload.no-parameters", "The statement has open parameters.", "Give it with values.")
    with pg_plans.planning(system) as session, session.transaction(force_rollback=True):
        session.execute(f"SET LOCAL statement_timeout = {int(statement_seconds * 1000)}")
        answer = workload_replay.answered(session, f"EXPLAIN ({ANALYZE}) ", cases[0])
    stripped: dict[str, Any] = workload_replay.strip(answer)
    return stripped
