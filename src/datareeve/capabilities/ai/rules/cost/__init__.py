"""What advise-cost notices, one rule a file. Each has `find(seen)`, which gives its findings: the figure, how it is computed, what proves it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from datareeve.capabilities.ai.rules.cost import (
    batchable,
    cacheable_prefix,
    cheaper_model,
    duplicate_calls,
    excessive_calls,
    failing_again,
    failing_retries,
    idle_key,
    oversize_max_tokens,
    runaway_loop,
)
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from datareeve.capabilities.ai.costs import Seen
    from datareeve.core.operation import Finding

RULES = (
    runaway_loop.find,
    excessive_calls.find,
    duplicate_calls.find,
    cacheable_prefix.find,
    cheaper_model.find,
    batchable.find,
    failing_again.find,
    failing_retries.find,
    oversize_max_tokens.find,
    idle_key.find,
)
GRAVEST_FIRST = tuple(reversed(Severity))
PER_RULE = 10  # findings; more of one kind say nothing new


def noticed(seen: Seen) -> tuple[Finding, ...]:
    """What the rules notice, the gravest first, and of these what saves most."""
    found = [finding for find in RULES for finding in islice(find(seen), PER_RULE)]
    return tuple(
        sorted(found, key=lambda one: (GRAVEST_FIRST.index(one.severity), -one.figures.get("usd_month", 0.0)))
    )
