"""`slaProperties`: how fresh data must be is a rule; what is no figure of the data itself is told by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.contracts.drafts import draft
from datareeve.capabilities.quality.contracts.reading import Place, Reading
from datareeve.capabilities.quality.rule import Bounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.quality.rule import Rule

FRESH = frozenset(("latency", "ly", "freshness", "fr"))
SECONDS = {
    "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600, "d": 86400, "day": 86400,
    "w": 604800, "wk": 604800, "week": 604800, "mo": 2629800, "month": 2629800, "y": 31557600, "yr": 31557600, "year": 31557600,
}  # fmt: skip
WHY_NOT = {
    "retention": "How long rows are kept is checked by the dataset's retention_days in estate.yaml.",
    "re": "How long rows are kept is checked by the dataset's retention_days in estate.yaml.",
}
PROMISE = "It is a promise about the service, not a figure of the data."


def rules_of(document: dict[str, Any], reading: Reading) -> Iterator[Rule]:
    """The rules among the service levels."""
    default = document.get("slaDefaultElement")
    for number, one in enumerate(document.get("slaProperties") or []):
        place = Place(("slaProperties", number), "")
        word = str(one.get("property") or "").lower()
        name = str(one.get("id") or one.get("property"))
        if word not in FRESH:
            reading.leave(place, name, WHY_NOT.get(word, PROMISE))
            continue
        elements = [
            part.strip() for part in str(one.get("element") or default or "").split(",") if part.strip()
        ]
        if not elements:
            reading.leave(
                place, name, 'It names no "element": the table.column that the age is counted from.'
            )
        for element in elements:
            yield from _fresh(one, element, name, place, reading)


def _fresh(one: dict[str, Any], element: str, name: str, place: Place, reading: Reading) -> Iterator[Rule]:
    seconds = _seconds(one.get("value"), str(one.get("unit") or "d"))
    if seconds is None:
        reading.wrong(
            (*place.path, "value"), f"is no duration: a number with a unit, one of {', '.join(SECONDS)}"
        )
        return
    found = _element(element, reading)
    if found is None:
        reading.leave(place, name, f"Its element {element} is no column of this contract.")
        return
    text = str(one.get("description") or "")
    yield draft(
        "freshness", *found, bounds=Bounds(at_most=seconds), at=place.words, text=text, owner=reading.owner
    )


def _seconds(value: Any, unit: str) -> float | None:
    word = unit.lower().rstrip(".")
    factor = SECONDS.get(word) or SECONDS.get(word.removesuffix("s"))
    try:
        return float(value) * factor if factor is not None and not isinstance(value, bool) else None
    except (TypeError, ValueError):
        return None


def _element(element: str, reading: Reading) -> tuple[str, tuple[str, ...]] | None:
    table, _, column = element.rpartition(".")
    tables = list(reading.tables.values())
    named = next(
        (one for one in tables if table in (one.name, one.physical)),
        tables[0] if not table and len(tables) == 1 else None,
    )
    found = named.column(column) if named else None
    return (named.name, (found,)) if named and found else None
