"""The work that the quality desk does, by name: what a step of an operation hands it is done by these functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.quality import checking
from datareeve.capabilities.quality.reconcile import outcome

if TYPE_CHECKING:
    from datareeve.systems.quality_desk import Work

WORK: dict[str, Work] = {checking.WORK: checking.work, outcome.WORK: outcome.work}
