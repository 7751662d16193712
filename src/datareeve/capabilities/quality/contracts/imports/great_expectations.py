"""Suites of Great Expectations, of its versions 0.x and 1.x."""

from __future__ import annotations

from typing import Any

from datareeve.capabilities.quality.contracts.drafts import severity_of
from datareeve.capabilities.quality.contracts.imports.expectations import plain_arguments, snake, translated
from datareeve.capabilities.quality.contracts.imports.imported import Collector, Imported
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import parse

SOURCE = "great-expectations"


def read(text: str, table: str = "") -> Imported:
    """The rules of a suite. Errors: `BadInput` `contract.syntax`, `contract.import` where it is none."""
    data = parse(text, "the suite").data
    suite = _suite(data)
    name = table or str(suite.get("name") or suite.get("expectation_suite_name") or "table")
    collector = Collector(SOURCE)
    collector.table(name)
    for number, one in enumerate(suite["expectations"]):
        _add(one, name, f"expectations[{number}]", collector)
    return collector.result()


def _suite(data: Any) -> dict[str, Any]:
    if isinstance(data, list) and all(isinstance(one, dict) for one in data):
        data = {"expectations": data}
    if not isinstance(data, dict) or not isinstance(data.get("expectations"), list):
        raise BadInput(
            "contract.import",
            'This is no suite of Great Expectations: it has no list of "expectations".',
            "Export the suite as JSON.",
        )
    return data


def _add(one: Any, table: str, at: str, collector: Collector) -> None:
    told = one if isinstance(one, dict) else {}
    name = name_of(told)
    arguments = arguments_of(told)
    made = translated(name, arguments, table) if name else "It names no expectation."
    if not isinstance(made, str):
        text, severity = _notes(told), severity_of(told.get("severity"))
        made = tuple(rule.model_copy(update={"text": text, "severity": severity}) for rule in made)
    column = str(arguments.get("column") or "")
    collector.add(
        made,
        at,
        snake(name) or "expectation",
        one,
        given=str(told.get("id") or ""),
        table=table,
        column=column,
    )


def name_of(told: dict[str, Any]) -> str:
    """An expectation's name, by any key that a version has for it."""
    found = next(
        (told[key] for key in ("expectation_type", "type", "expectation") if isinstance(told.get(key), str)),
        "",
    )
    return str(found)


def arguments_of(told: dict[str, Any]) -> dict[str, Any]:
    """An expectation's arguments."""
    beside = (
        "expectation_type",
        "type",
        "expectation",
        "meta",
        "id",
        "severity",
        "description",
        "notes",
        "kwargs",
        "rendered_content",
    )
    given = (
        told["kwargs"]
        if "kwargs" in told
        else {key: value for key, value in told.items() if key not in beside}
    )
    return plain_arguments(given)


def _notes(told: dict[str, Any]) -> str:
    meta = told.get("meta") if isinstance(told.get("meta"), dict) else {}
    notes = (meta or {}).get("notes") or told.get("notes") or ""
    content = notes.get("content") if isinstance(notes, dict) else notes
    lines = [str(one) for one in content] if isinstance(content, list) else [str(content or "")]
    return str(told.get("description") or (meta or {}).get("description") or " ".join(lines)).strip()
