"""What advice on cost looks at: sums and repetitions of a time, prices, replays; and how a saving is told.

A saving is what the recorded requests of that time would have cost less, carried to an average month. Two savings may be of the same requests:
they are not added up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Declared  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.ai.periods import Period  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.ai.pricing import money, usd
from datareeve.core.operation import Finding, Severity
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

Row = dict[str, Any]


class Seen(Value):
    """All that the rules look at. Rows are those of the reads of system `gateway`."""

    declared: Declared
    period: Period
    least_usd_month: float = 1.0  # a smaller saving is not told
    cost_microusd: int = 0  # of the whole time
    repeats: tuple[Row, ...] = ()
    prefixes: tuple[Row, ...] = ()
    bulk: tuple[Row, ...] = ()
    batch_share: dict[str, float] = Field(
        default_factory=dict
    )  # by provider/model: a batch's price beside the standard one
    loops: tuple[Row, ...] = ()
    failing: tuple[Row, ...] = ()
    by_model: tuple[Row, ...] = ()
    by_asked: tuple[Row, ...] = ()  # by name asked for and model
    by_hour: tuple[Row, ...] = ()  # and key
    keys: tuple[Row, ...] = ()
    used_keys: tuple[str, ...] = ()
    idle_days: int = 30
    sizes: tuple[Row, ...] = ()
    replays: tuple[Row, ...] = ()
    prices: dict[str, dict[str, float]] = Field(
        default_factory=dict
    )  # by provider/model, US dollars per million tokens
    makers: dict[str, str] = Field(default_factory=dict)  # of the providers
    cheaper: dict[str, dict[str, Any]] = Field(
        default_factory=dict
    )  # by provider/model: {target, share}; of the cost, at the same tokens

    def matters(self, microusd: float) -> bool:
        """Whether a saving of this time is worth telling."""
        return self.period.a_month(usd(microusd)) >= self.least_usd_month

    def a_month(self, microusd: float) -> float:
        """In US dollars, in an average month."""
        return round(self.period.a_month(usd(microusd)), 4)


def saving(  # noqa: PLR0913 - what a saving is told with
    seen: Seen,
    rule: str,
    subject: str,
    *,
    what: str,
    why: str,
    instead: str,
    microusd: float,
    computed: str,
    proof: str,
    figures: Mapping[str, Any] | None = None,
    mended_by: str = "",
    severity: Severity = Severity.WARNING,
) -> Finding:
    """A finding with its figure, how that is computed, and what proves it."""
    month = seen.a_month(microusd)
    return Finding(
        rule=rule,
        subject=subject,
        what=f"{what} That is {money(month)} a month." if microusd else what,
        why=why,
        instead=instead,
        severity=severity,
        figures={
            "usd_month": month,
            "usd": usd(microusd),
            "computed": computed,
            "proof": proof,
            **(figures or {}),
        },
        mended_by=mended_by,
    )


def query(columns: str, table: str, where: str, rest: str = "") -> str:
    """The command that gives a figure again."""
    sql = " ".join(part for part in ("SELECT", columns, "FROM", table, "WHERE", where, rest) if part)
    return command("ai.usage", sql=sql)


def within(period: Period) -> str:
    """The time, as it is written in SQL."""
    return f"at >= {period.since:.0f} AND at < {period.until:.0f}"
