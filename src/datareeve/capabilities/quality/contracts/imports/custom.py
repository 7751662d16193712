"""Another engine's check within a contract (`type: custom`)."""
from __future__ import annotations
from typing import Any
from datareeve.capabilities.quality.contracts.reading import Place
from datareeve.capabilities.quality.rule import Rule
def translated(engine: str, implementation: Any, place: Place) -> tuple[tuple[Rule, ...], str]:
    return (), ""
