"""Which columns an owner has said are personal: the one place that everything asks which masks, measures, erases or reports.

`no` says that a person has looked and it is not personal: such a column is nobody's, whatever it looks like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datareeve.core.estate_data import DataSettings

NOT_PERSONAL = "no"


def personal_columns(estate: DataSettings | Mapping[str, Any], system: str) -> dict[str, dict[str, str]]:
    """The personal columns of a system: table -> column -> category.

    `estate`: the estate, or its `datasets` as they stand in estate.yaml (what `systems["estate"].read("get", where=["datasets"])` gives).
    """
    found = {
        table: {column: category for column, category in columns.items() if category != NOT_PERSONAL}
        for table, columns in told_columns(estate, system).items()
    }
    return {table: columns for table, columns in found.items() if columns}


def told_columns(estate: DataSettings | Mapping[str, Any], system: str) -> dict[str, dict[str, str]]:
    """As `personal_columns`, with those of category 'no': somebody looked, and they are not personal."""
    found: dict[str, dict[str, str]] = {}
    for one in _datasets(estate).values():
        if one.get("system") == system:
            known = found.setdefault(str(one.get("table", "")), {})
            known |= one.get("personal") or {}
    return found


# What every structured prompt has keys of: a column of that name says nothing of a prompt, and a tool's name would be taken out of it.
_OF_PROMPTS = frozenset(
    "name names content text type role id title description message messages input output arguments value values data key keys status state code number "
    "index function functions tool tools model user system assistant prompt parameters properties schema format kind label body url image file query reason comment note notes".split()
)


def personal_words(estate: DataSettings) -> tuple[str, ...]:
    """The personal columns of every system as 'table.column': what values in a structured prompt stand under. Not those that prompts are made of."""
    systems = sorted({one.system for one in estate.datasets.values()})
    return tuple(
        dict.fromkeys(
            f"{table.rpartition('.')[2]}.{column}"
            for system in systems
            for table, columns in personal_columns(estate, system).items()
            for column in columns
            if column.lower() not in _OF_PROMPTS and "." not in column
        )
    )


def _datasets(estate: DataSettings | Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Datasets by name, as plain values. YAML 1.1 readers make `no` false: it means the same."""
    given: Mapping[str, Any] = (
        getattr(estate, "datasets", None) if not isinstance(estate, dict) else estate
    ) or {}
    plain = {
        name: one if isinstance(one, dict) else one.model_dump(mode="json") for name, one in given.items()
    }
    return {
        name: {
            **one,
            "personal": {
                c: NOT_PERSONAL if v is False else str(v) for c, v in (one.get("personal") or {}).items()
            },
        }
        for name, one in plain.items()
    }
