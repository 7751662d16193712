"""Rewrites of statements: proposals of the rules, and what trying them on a copy says of each.

A rewrite is proposed only where the catalog says that it gives the same rows, a copy gave the same rows for every recorded execution that was
tried, and it was faster by more than the noise of the rounds. Everything here is pure.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Literal

from datareeve.capabilities.databases.rules.queries import REWRITES, subject
from datareeve.capabilities.databases.rules.queries.rewriting import Rewrite
from datareeve.core.operation import Finding, Severity
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlglot import exp

    from datareeve.capabilities.databases.rules.queries.rewriting import Catalog
    from datareeve.capabilities.databases.workload import Family
    from datareeve.core.operation import Copy

FASTER_BY = 0.9  # the new text must take at most this share of the old one's time
Place = Literal["source", "clone", "sample"]
PLACES = {"source": "the database itself", "clone": "a copy", "sample": "a part of the rows"}
Verdict = Literal["proposed", "not faster", "different", "may differ", "not proved", "not tried"]


class Proposal(Value):
    """A statement written anew by a rule."""

    fingerprint: str
    rule: str
    why: str
    sql: str
    rests_on: tuple[str, ...] = ()
    differs: str = ""


class Round(Value):
    """What all cases together took in one round."""

    ms: float
    buffers: float


class Comparison(Value):
    """Old and new text executed on a copy. See `pg_rewrite.compare`."""

    cases: int
    equal: int
    ordered: int
    rows: int
    columns: bool
    failed: tuple[str, ...]
    old: tuple[Round, ...]
    new: tuple[Round, ...]

    @property
    def ms(self) -> tuple[float, float]:
        """The medians of old and new."""
        return statistics.median(r.ms for r in self.old), statistics.median(r.ms for r in self.new)

    @property
    def faster(self) -> bool:
        """Whether the new text is faster by a tenth, and not by chance.

        Either its median is below every round of the old text, or it touches a tenth fewer blocks, which no noise changes, and its best
        round is the best of all.
        """
        if not self.old:
            return False
        old, new = self.ms
        best = min(r.ms for r in self.old)
        blocks = [statistics.median(r.buffers for r in rounds) for rounds in (self.old, self.new)]
        fewer = blocks[1] <= blocks[0] * FASTER_BY and min(r.ms for r in self.new) < best
        return new <= old * FASTER_BY and (new < best or fewer)


class Tried(Value):
    """A proposal, and what a copy said of it."""

    proposal: Proposal
    comparison: Comparison | None = None
    where: Place = "clone"
    is_ordered: bool = False  # the statement has an ORDER BY, so that the order of rows must be the same

    @property
    def verdict(self) -> Verdict:
        """What may be said of it."""
        found = self.comparison
        if found is None:
            return "not tried"
        if found.equal + len(found.failed) < found.cases or not found.columns or self._out_of_order(found):
            return "different"
        if not found.equal or any(one.startswith("new") for one in found.failed):
            return "not proved"
        if self.proposal.differs:
            return "may differ"
        timed: Verdict = "proposed" if found.faster else "not faster"
        return "not proved" if self.where == "sample" else timed  # times of a part of the rows say nothing

    def _out_of_order(self, found: Comparison) -> bool:
        return self.is_ordered and found.ordered < found.equal


def proposals(family: Family, catalog: Catalog) -> Iterator[Proposal]:
    """What every rule makes of a statement, and all of them together where several have something to say."""
    import sqlglot  # noqa: PLC0415 - heavy, and needed only where a workload is looked at

    if not family.parsed or family.is_write:
        return
    try:
        tree = sqlglot.parse_one(family.sql, read="postgres")
    except sqlglot.errors.SqlglotError:
        return
    found = []
    for rule in REWRITES:
        one = _proposal(family, rule.RULE, rule.WHY, rule.rewrite(tree.copy(), catalog))
        found += [one] if one else []
    yield from found
    if len(found) > 1:
        together = _together(tree.copy(), [one.rule for one in found], catalog)
        one = _proposal(
            family, TOGETHER, f"Taken together: {', '.join(one.rule for one in found)}.", together
        )
        if one is not None and one.sql not in {each.sql for each in found}:
            yield one


TOGETHER = "several-rewrites"


def _proposal(family: Family, rule: str, why: str, found: Rewrite | None) -> Proposal | None:
    text = found.tree.sql(dialect="postgres", comments=False) if found else family.sql
    if found is None or text == family.sql:
        return None
    return Proposal(
        fingerprint=family.fingerprint,
        rule=rule,
        why=why,
        sql=text,
        rests_on=found.rests_on,
        differs=found.differs,
    )


def _together(tree: exp.Expr, rules: list[str], catalog: Catalog) -> Rewrite:
    """What several rules make of a statement, one after the other, with all that their equality rests on."""
    rests_on: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()
    for rule in REWRITES:
        one = rule.rewrite(tree.copy(), catalog) if rule.RULE in rules else None
        if one is not None:
            tree, rests_on, differs = one.tree, (*rests_on, *one.rests_on), (*differs, one.differs)
    return Rewrite(tree, tuple(dict.fromkeys(rests_on)), " ".join(dict.fromkeys(filter(None, differs))))


def kind_of(copy: Copy) -> str:
    """What a copy holds: 'clone' (all rows), 'sample' (a part of them) or 'twin' (statistics, and no rows)."""
    return str(copy.read("copy_kind"))


def is_ordered(sql: str) -> bool:
    """Whether the statement as a whole has an ORDER BY."""
    import sqlglot  # noqa: PLC0415

    return sqlglot.parse_one(sql, read="postgres").args.get("order") is not None


def finding(family: Family, tried: Tried) -> Finding:
    """What is told of a proposal."""
    one, verdict = tried.proposal, tried.verdict
    proposed = verdict == "proposed"
    return Finding(
        rule=one.rule,
        subject=subject(family),
        what=f"{_measured(tried)}: {family.short}",
        why=" ".join(part for part in (one.why, _rests(one), one.differs) if part),
        instead=f"{'' if proposed else TITLES[verdict]}{one.sql}",
        severity=Severity.WARNING if proposed else Severity.INFO,
        figures=_figures(family, tried),
    )


TITLES: dict[str, str] = {
    "not tried": "Not proved, for it was not tried: ",
    "not proved": "Not proved: ",
    "different": "Not the same, so do not use: ",
    "may differ": "The same in what was tried, but it may differ: ",
    "not faster": "Equal but not faster: ",
}


def _measured(tried: Tried) -> str:
    found = tried.comparison
    if found is None:
        return "It could be written in another way"
    if tried.verdict == "different":
        return f"Another writing gave other rows in {found.cases - found.equal or found.equal - found.ordered} of {found.cases} cases"
    if not found.equal or not found.old:
        return f"Another writing could not be compared ({', '.join(sorted(set(found.failed))) or 'no recorded values'})"
    old, new = found.ms
    cases = f"{found.equal} recorded {'execution' if found.equal == 1 else 'executions'}"
    return f"On {PLACES[tried.where]} {cases} took {old:,.1f} ms as written and {new:,.1f} ms in another writing, with the same {found.rows:,} rows"


def _rests(one: Proposal) -> str:
    return f"It is the same because {' and '.join(one.rests_on)}." if one.rests_on and not one.differs else ""


def _figures(family: Family, tried: Tried) -> dict[str, Any]:
    found, known = (
        tried.comparison,
        {"fingerprint": family.fingerprint, "verdict": tried.verdict, "sql": tried.proposal.sql},
    )
    if found is None or not found.old:
        return known
    old, new = found.ms
    buffers = [statistics.median(r.buffers for r in rounds) for rounds in (found.old, found.new)]
    measured = {
        "ms_before": round(old, 3),
        "ms_after": round(new, 3),
        "buffers_before": buffers[0],
        "buffers_after": buffers[1],
    }
    return {**known, **measured, "cases": found.equal, "rounds": len(found.old)}
