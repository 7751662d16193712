"""Running what was compiled: statements in one snapshot, a failed pass by halves, and the keys of the rows that break a rule.

One rule that cannot be asked takes no other with it: a pass that the engine refuses is parted until only what is wrong is left out.
"""

from __future__ import annotations

from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality import statement_forms as forms
from datareeve.capabilities.quality.compiling import Compiled, Statement
from datareeve.capabilities.quality.engines import dialect_of
from datareeve.capabilities.quality.engines.dialect import LISTED
from datareeve.capabilities.quality.judging import Answer, judge
from datareeve.capabilities.quality.likely_personal import look_personal
from datareeve.capabilities.quality.verdicts import KEYS_SHOWN, Says, Verdict
from datareeve.core import clock
from datareeve.core.errors import DatareeveError, Unreachable
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from datareeve.capabilities.quality.compiling import Asked
    from datareeve.capabilities.quality.engines.dialect import Dialect
    from datareeve.capabilities.quality.rule import Rule
    from datareeve.core.estate_data import QualitySettings
    from datareeve.core.operation import Reader

    Measured = dict[str, dict[str, Any]]
    History = Callable[[Rule], list[Any]]
    Judged = Callable[[Rule, Answer], Verdict]


class Results(Value):
    """What became of a contract on one system."""

    verdicts: tuple[Verdict, ...]
    began: str
    snapshot: str | None = None  # the moment of the first
    snapshots: int = 0  # spans, what is asked again, and the rows' keys are looked at later than the rules
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
    shares = {one.id: one.share for one in compiled.statements if one.share is not None}

    def judged(rule: Rule, answer: Answer) -> Verdict:
        return judge(
            rule, answer, at=at, history=history(rule) if rule.kind in ("volume", "learned") else None
        )

    verdicts = [_verdict(rule, asked[rule.id], measured, shares, judged) for rule in rules]
    broken = [(asked[v.rule], v) for v in verdicts if v.says in (Says.FAIL, Says.WARN)]
    keys = runner.keys(broken, measured)
    done = tuple(_with_keys(verdict, asked[verdict.rule], keys) for verdict in verdicts)
    return Results(
        verdicts=done,
        began=began,
        snapshot=runner.snapshot,
        snapshots=runner.snapshots,
        seconds=round(runner.seconds, 4),
        down=runner.down,
    )


class _Runner:
    """Statements on one system, and what is learned on the way."""

    def __init__(self, reader: Reader, settings: QualitySettings) -> None:
        self._reader, self._settings = reader, settings
        self.snapshot: str | None = None
        self.snapshots = 0
        self.seconds = 0.0
        self.down = ""
        self._refused = False  # no call is answered: none is made again
        self._rests_until = 0.0
        # Those that were asked by bits: what breaks them is still to be named.
        self._close: dict[str, Statement] = {}

    def measure(self, statements: Iterable[Statement]) -> Measured:
        """The answers by statement; of a pass that failed, those of its parts under its own name."""
        wanted = self._spanned(list(statements))
        got = self._ask([Statement(id=one.id, sql=forms.first(one), check=one.check) for one in wanted])
        found = {one.id: forms.understood(one, got[one.id]) for one in wanted}
        again = [other for one in wanted if (other := forms.next_after(one, got[one.id])) is not None]
        for id_, answer in (self.measure(again) if again and not self._refused else {}).items():
            found[id_] = {"listed": found[id_].get("listed"), **answer}
        for one in wanted:
            if len(one.expressions) > 1 and not self._refused and forms.may_go_on(found[one.id]):
                found[one.id] = self._by_halves(one)
        return found

    def _spanned(self, statements: list[Statement]) -> list[Statement]:
        """With the ends of the numbers that they are about, where those lie close together."""
        spans = self._ask([Statement(id=one.id, sql=one.close.span) for one in statements if one.close])
        known = [forms.with_span(one, spans[one.id]) if one.close else one for one in statements]
        self._close |= {one.id: one for one in known if one.close}
        return known

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
        sleep(max(self._rests_until - perf_counter(), 0.0))
        try:
            answer = self._reader.read("measure", statements=given, **limits)
        except DatareeveError as error:
            self._refused = True
            self.down = f"{error.code}: {error.what}" if isinstance(error, Unreachable) else self.down
            return {
                one.id: {"error": {"code": error.code, "what": error.what}, "seconds": None}
                for one in statements
            }
        self.snapshot = self.snapshot or answer.get("snapshot")
        self.snapshots += int(answer.get("snapshots") or 0)
        found: Measured = answer["statements"]
        took = [one.get("seconds") or 0.0 for one in found.values()]
        self.seconds += sum(took)
        # The adapter rests between two statements of a call, and here is the rest between two calls.
        self._rests_until = perf_counter() + took[-1] * (1 / self._settings.busy_share - 1)
        return found

    def keys(
        self, broken: Iterable[tuple[Asked, Verdict]], measured: Measured
    ) -> dict[str, list[dict[str, Any]]]:
        """The keys of rows that break rules, by rule: in one statement for all rules of a table that few rows break."""
        if self._refused:
            return {}
        rules = list(broken)
        together, alone = _parted([(asked, verdict) for asked, verdict in rules if asked.keys])
        close = {one.rule: self._close[one.listed] for one, _ in rules if one.listed in self._close}
        wanted = [
            Statement(id=f"together:{n}", sql=_of_several(several, dialect_of(self._reader.kind)))
            for n, several in enumerate(together)
        ]
        wanted += [Statement(id=one.rule, sql=one.keys) for one in alone]
        naming = {rule: forms.close_keys(one, measured[one.id]) for rule, one in close.items()}
        wanted += [Statement(id=rule, sql=sql) for rule, sql in naming.items() if sql]
        found = {id_: got["rows"] for id_, got in self._ask(wanted).items() if "rows" in got}
        for n, several in enumerate(together):
            found |= _by_rule(several, found.pop(f"together:{n}", []))
        found |= {rule: forms.most_first(one, found[rule]) for rule, one in close.items() if rule in found}
        listed = {one.rule: measured[one.listed].get("listed") for one, _ in rules if one.listed}
        return found | {rule: rows for rule, rows in listed.items() if rows}


FEW_ROWS = 100  # that break a rule: then all of them are read, with those of other rules


def _parted(broken: list[tuple[Asked, Verdict]]) -> tuple[list[list[Asked]], list[Asked]]:
    """Rules whose rows are read together, by where they are read from; and those that are asked alone."""
    few = [asked for asked, v in broken if asked.breaks and 0 < (v.failing or 0) <= FEW_ROWS and v.exact]
    failing = {asked.rule: v.failing or 0 for asked, v in broken}
    groups: dict[str, list[list[Asked]]] = {}
    for one in few:
        own = groups.setdefault(_source_of(one), [[]])
        if sum(failing[other.rule] for other in own[-1]) + failing[one.rule] > LISTED:
            own.append([])
        own[-1].append(one)
    together = [several for own in groups.values() for several in own if len(several) > 1]
    taken = {one.rule for several in together for one in several}
    return together, [asked for asked, _ in broken if asked.rule not in taken]


def _source_of(one: Asked) -> str:
    """What stands before a rule's own condition: the key and the table."""
    return one.keys.split(f" WHERE {one.breaks} LIMIT ")[0]


def _of_several(several: list[Asked], dialect: Dialect) -> str:
    columns, _, source = _source_of(several[0]).removeprefix("SELECT ").partition(" FROM ")
    flags = ", ".join(
        f"CASE WHEN {one.breaks} THEN 1 ELSE 0 END AS breaks_{n}" for n, one in enumerate(several)
    )
    breaks = " OR ".join(f"({one.breaks})" for one in several)
    return dialect.listed(f"{columns}, {flags}", source, breaks)


def _by_rule(several: list[Asked], rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    flags = {f"breaks_{n}" for n in range(len(several))}
    return {
        one.rule: [
            {name: value for name, value in row.items() if name not in flags}
            for row in rows
            if row[f"breaks_{n}"]
        ]
        for n, one in enumerate(several)
    }


def _half(one: Statement, expressions: list[tuple[str, str]], number: int) -> Statement:
    listed = ", ".join(f"{expression} AS {alias}" for alias, expression in expressions)
    return Statement(
        id=f"{one.id}/{number}",
        sql=f"SELECT {listed} FROM {one.source}",
        rules=one.rules,
        expressions=dict(expressions),
        source=one.source,
    )


def _verdict(
    rule: Rule, asked: Asked, measured: Measured, shares: Mapping[str, float], judged: Judged
) -> Verdict:
    if asked.proof:
        return Verdict(rule=rule.id, says=Says.PASS, failing=0, figure=0.0, proof=asked.proof)
    if asked.not_run:
        return Verdict(rule=rule.id, says=Says.NOT_RUN, reason=asked.not_run)
    return judged(rule, _answer(asked, measured, shares))


def _answer(asked: Asked, measured: Measured, shares: Mapping[str, float]) -> Answer:
    """A rule's figures from the statements that they stand in."""
    figures: dict[str, float | None] = dict(asked.known)
    seconds = 0.0
    for statement in {place[0] for place in asked.places.values()}:
        got = measured[statement]
        if error := got.get("error"):
            return Answer({}, _said(error), got.get("seconds"))
        seconds += 0.0 if statement.startswith(("pass:", "few:")) else got.get("seconds") or 0.0
    for name, (statement, column) in asked.places.items():
        got = measured[statement]
        if error := got.get("errors", {}).get(column):
            return Answer({}, _said(error), got.get("seconds"))
        if len(got["rows"]) > 1 or (
            name == "figure" and any(len(row) > 1 for row in got["rows"]) and column not in got["rows"][0]
        ):
            return Answer({}, "it gives more than one number", got.get("seconds"))
        try:
            figures[name] = _number(got["rows"][0], column) if got["rows"] else None
        except ValueError:
            return Answer({}, NO_NUMBER, got.get("seconds"))
    share = min(
        (shares[statement] for statement, _ in asked.places.values() if statement in shares), default=None
    )
    return Answer(figures, seconds=round(seconds, 4), sampled=share)


NO_NUMBER = "what it gives is no number"


def _number(row: Mapping[str, Any], column: str) -> float | None:
    """A figure of a row; a query of one column may call it as it likes. Errors: `ValueError` for what is no number: never with its value."""
    value = row[column] if column in row else next(iter(row.values()))
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        raise ValueError(NO_NUMBER) from None


def _said(error: Mapping[str, Any]) -> str:
    return f"{error['code']}: {error['what']}"


def _with_keys(verdict: Verdict, asked: Asked, keys: Mapping[str, list[dict[str, Any]]]) -> Verdict:
    if verdict.says not in (Says.FAIL, Says.WARN):
        return verdict
    found = tuple(keys.get(verdict.rule, ()))[:KEYS_SHOWN]
    if look_personal(found):
        return verdict.model_copy(update={"keys_left_out": "its key looks like personal data"})
    left_out = asked.keys_left_out or (
        "" if found or not (asked.keys or asked.listed) else "the rows could not be named"
    )
    return verdict.model_copy(update={"keys": found, "keys_left_out": left_out})
