"""The contracts of a project: where they lie, and the one that is meant."""

from __future__ import annotations

import difflib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from datareeve.capabilities.quality.contracts.read import read
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from datareeve.capabilities.quality.rule import Contract
    from datareeve.core.operation import Systems


def paths(systems: Systems) -> dict[str, str]:
    """The project's contracts by name, with their paths. Errors: `BadInput` `contract.two` for two of one name."""
    patterns = list(systems["quality"].read("settings")["contracts"])
    found: dict[str, str] = {}
    for path in systems["files"].read("named", patterns=patterns):
        name = PurePosixPath(path).stem
        if name in found:
            raise BadInput(
                "contract.two", f"{found[name]} and {path} are contracts of one name.", "Rename one of them."
            )
        found[name] = path
    return found


def path_of(systems: Systems, name: str) -> str:
    """The path of a contract, by its name or its path. Errors: `BadInput` `contract.unknown`, with the nearest."""
    known = paths(systems)
    if name in known or name in known.values():
        return known.get(name, name)
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    there = (
        f"There are: {', '.join(known)}."
        if known
        else "There are none yet: `datareeve run quality.propose-contract` drafts one."
    )
    raise BadInput("contract.unknown", f"There is no contract {name!r}.{hint}", there)


def load(systems: Systems, name: str) -> Contract:
    """A contract, read. Errors: those of `path_of` and `contracts.read`."""
    path = path_of(systems, name)
    text = systems["files"].read("text", path=path)
    if text is None:
        raise BadInput(
            "contract.unknown", f"{path} has vanished.", "Look whether something is at work in that folder."
        )
    return read(text, PurePosixPath(path).stem)
