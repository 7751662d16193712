"""Running what was compiled: statements in one snapshot, a failed pass by halves, and the keys of the rows that break a rule.

One rule that cannot be asked takes no other with it: a pass that the engine refuses is parted until only what is wrong is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.compiling import Compiled, Statement
from datareeve.capabilities.quality.judging import Answer, judge
from datareeve.capabilities.quality.verdicts import KEYS_SHOWN, Says, Verdict
from datareeve.core import clock
from datareeve.core.errors import DatareeveError
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from datareeve.capabilities.quality.compiling import Asked
    from datareeve.capabilities.quality.rule import Rule
    from datareeve.core.estate_data import QualitySettings
    from datareeve.core.operation import Reader

    Measured = dict[str, dict[str, Any]]
    History = Callable[[Rule], list[Any]]

UNDIVIDED = (".timeout", ".memory")  # what the halves of a pass would run into as well


class Results(Value):
    """What became of a contract on one system."""

    verdicts: tuple[Verdict, ...]
    began: str
    snapshot: str | None = None
    seconds: float = 0.0
    down: str = ""  # the system went away: why


def run(
    reader: Reader, compiled: Compiled, rules: Iterable[Rule], settings: QualitySettings, history: History
) -> Results:
    """Run the statements and judge every rule. A system that does not answer gives verdicts 'not run', not an error."""
    began, at = clock.stamp(), clock.now()
    runner = _Runner(reader, settings)
    measured = runner.measure(compiled.statements)
    asked = {one.rule: one for one in compiled.asked}
    verdicts = [_verdict(rule, asked[rule.id], measured, at, history) for rule in rules]
    keys = runner.keys([asked[v.rule] for v in verdicts if v.says in (Says.FAIL, Says.WARN)])
    done = tuple(_with_keys(verdict, asked[verdict.rule], keys) for verdict in verdicts)
    return Results(
        verdicts=done,
        began=began,
        snapshot=runner.snapshot,
        seconds=round(runner.seconds, 4),
        down=runner.down,
    )


class _Runner:
    """Statements on one system, and what is learned on the way."""

    def __init__(self, reader: Reader, settings: QualitySettings) -> None:
        self._reader, self._settings = reader, settings
        self.snapshot: str | None = None
        self.seconds = 0.0
        self.down = ""

    def measure(self, statements: Iterable[Statement]) -> Measured:
        """The answers by statement; of a pass that failed, those of its parts under its own name."""
        wanted = list(statements)
        found = self._ask(wanted)
        for one in wanted:
            error = found[one.id].get("error")
            if (
                error
                and len(one.expressions) > 1
                and not self.down
                and not str(error["code"]).endswith(UNDIVIDED)
            ):
                found[one.id] = self._by_halves(one)
        return found

    def _by_halves(self, one: Statement) -> dict[str, Any]:
        halves = [_half(one, list(one.expressions.items())[start::2], start) for start in (0, 1)]
        parts = self.measure(halves)
        answers: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        seconds = 0.0
        for half in halves:
            got = parts[half.id]
            seconds += got.get("seconds") or 0.0
            if got.get("error"):
                errors |= dict.fromkeys(half.expressions, got["error"])
            else:
                answers |= got["rows"][0]
                errors |= got.get("errors", {})
        return {"rows": [answers], "errors": errors, "seconds": seconds}

    def _ask(self, statements: list[Statement]) -> Measured:
        if not statements:
            return {}
        given = [
            {"id": one.id, "sql": one.sql, **({"check": one.check} if one.check else {})}
            for one in statements
        ]
        limits = {
            "timeout_seconds": self._settings.statement_seconds,
            "snapshot_seconds": self._settings.snapshot_seconds,
            "busy_share": self._settings.busy_share,
        }
        try:
            answer = self._reader.read("measure", statements=given, **limits)
        except DatareeveError as error:
            self.down = f"{error.code}: {error.what}"
            return {
                one.id: {"error": {"code": error.code, "what": error.what}, "seconds": None}
                for one in statements
            }
        self.snapshot = self.snapshot or answer.get("snapshot")
        found: Measured = answer["statements"]
        self.seconds += sum(one.get("seconds") or 0.0 for one in found.values())
        return found

    def keys(self, broken: Iterable[Asked]) -> dict[str, list[dict[str, Any]]]:
        """The keys of rows that break rules, by rule."""
        wanted = [Statement(id=one.rule, sql=one.keys) for one in broken if one.keys]
        return (
            {id_: got["rows"] for id_, got in self._ask(wanted).items() if "rows" in got}
            if not self.down
            else {}
        )


def _half(one: Statement, expressions: list[tuple[str, str]], number: int) -> Statement:
    listed = ", ".join(f"{expression} AS {alias}" for alias, expression in expressions)
    return Statement(
        id=f"{one.id}/{number}",
        sql=f"SELECT {listed} FROM {one.source}",
        rules=one.rules,
        expressions=dict(expressions),
        source=one.source,
    )


def _verdict(rule: Rule, asked: Asked, measured: Measured, at: Any, history: History) -> Verdict:
    if asked.proof:
        return Verdict(rule=rule.id, says=Says.PASS, failing=0, figure=0.0, proof=asked.proof)
    if asked.not_run:
        return Verdict(rule=rule.id, says=Says.NOT_RUN, reason=asked.not_run)
    wants_history = rule.kind in ("volume", "learned")
    return judge(rule, _answer(asked, measured), at=at, history=history(rule) if wants_history else None)


def _answer(asked: Asked, measured: Measured) -> Answer:
    """A rule's figures from the statements that they stand in."""
    figures: dict[str, float | None] = dict(asked.known)
    seconds = 0.0
    for statement in {place[0] for place in asked.places.values()}:
        got = measured[statement]
        if error := got.get("error"):
            return Answer({}, _said(error), got.get("seconds"))
        seconds += 0.0 if statement.startswith("pass:") else got.get("seconds") or 0.0
    for name, (statement, column) in asked.places.items():
        got = measured[statement]
        if error := got.get("errors", {}).get(column):
            return Answer({}, _said(error), got.get("seconds"))
        figures[name] = _number(got["rows"][0], column) if got["rows"] else None
    return Answer(figures, seconds=round(seconds, 4))


def _number(row: Mapping[str, Any], column: str) -> float | None:
    """A figure of a row; a query of one column may call it as it likes."""
    value = row[column] if column in row else next(iter(row.values()))
    return None if value is None else float(value)


def _said(error: Mapping[str, Any]) -> str:
    return f"{error['code']}: {error['what']}"


def _with_keys(verdict: Verdict, asked: Asked, keys: Mapping[str, list[dict[str, Any]]]) -> Verdict:
    if verdict.says not in (Says.FAIL, Says.WARN):
        return verdict
    found = tuple(keys.get(verdict.rule, ()))[:KEYS_SHOWN]
    left_out = asked.keys_left_out or ("" if found or not asked.keys else "the rows could not be named")
    return verdict.model_copy(update={"keys": found, "keys_left_out": left_out})
