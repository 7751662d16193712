"""Another engine's check within a contract (`type: custom`), and one of ours by its former owner's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.contracts.drafts import spoken

if TYPE_CHECKING:
    from datareeve.capabilities.quality.contracts.imports.imported import Made
    from datareeve.capabilities.quality.contracts.reading import Place, Reading
    from datareeve.capabilities.quality.rule import Rule


def translated(
    engine: str, implementation: Any, place: Place, reading: Reading
) -> tuple[tuple[Rule, ...], str]:
    """(the rules, why there are none) of a check of `engine`, whose letters alone count."""
    made = _made(engine, implementation, place)
    if isinstance(made, str):
        return (), made
    return tuple(_of_contract(rule, place, reading) for rule in made), ""


def _made(engine: str, given: Any, place: Place) -> Made:
    # Who has no check of another engine needs none of their words.
    from datareeve.capabilities.quality.contracts.imports import (  # noqa: PLC0415
        dbt,
        expectations,
        great_expectations,
        soda,
    )

    column = place.columns[0] if place.columns else ""
    if engine in ("greatexpectations", "greatexpectation", "gx", "ge") and isinstance(given, dict):
        arguments = great_expectations.arguments_of(given)
        if column:
            arguments.setdefault("column", column)
        name = great_expectations.name_of(given)
        return expectations.translated(name, arguments, place.table) if name else "It names no expectation."
    if engine.startswith("dbt"):
        return dbt.single(given, place.table, column)
    if engine in ("soda", "sodacl", "sodacore"):
        return soda.single(given, place.table, column)
    return ""


def _of_contract(rule: Rule, place: Place, reading: Reading) -> Rule:
    """With the contract's place, and its table in the SQL."""
    told, arguments = spoken(rule), rule.arguments
    if rule.kind == "sql":
        arguments = {
            "query": reading.filled(arguments["query"], place._replace(columns=rule.columns), told.dialect)
        }
    return told.model_copy(update={"at": place.words, "arguments": arguments})
