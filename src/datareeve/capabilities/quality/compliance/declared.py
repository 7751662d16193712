"""What the estate declares of data, as the compliance operations read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput
from datareeve.core.estate_data import DataSettings

if TYPE_CHECKING:
    from datareeve.core.estate_data import Dataset
    from datareeve.core.operation import Systems

SECTIONS = ("datasets", "processing", "holds", "packs")


def settings(systems: Systems) -> DataSettings:
    """Datasets, register, holds and packs as they stand in estate.yaml."""
    estate = systems["estate"]
    found = {section: estate.read("get", where=[section]) for section in SECTIONS}
    return DataSettings.model_validate({section: value for section, value in found.items() if value})


def entry(systems: Systems, name: str) -> dict[str, Any]:
    """What the estate says of a system."""
    return dict(systems["estate"].read("get", where=["systems", name]) or {})


def personal(declared: DataSettings) -> dict[str, Dataset]:
    """The datasets with personal data: declared, or made of such and not looked at otherwise, column by column."""
    found = {
        name for name, one in declared.datasets.items() if one.subject or set(one.personal.values()) - {"no"}
    }
    while more := {name for name, one in declared.datasets.items() if name not in found and not one.personal and found & set(one.derived_from)}:  # fmt: skip
        found |= more
    return {name: one for name, one in declared.datasets.items() if name in found}


def refuse_unknown_subject(declared: DataSettings, subject: str) -> None:
    """Errors: `BadInput` `subject.unknown`, naming those that there are."""
    known = sorted({one.subject for one in declared.datasets.values() if one.subject})
    if subject not in known:
        raise BadInput(
            "subject.unknown",
            f"No dataset of estate.yaml holds data of a subject called {subject!r}.",
            f"There are: {', '.join(known)}." if known else "Give datasets a subject and a subject_key.",
        )
