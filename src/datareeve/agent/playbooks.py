"""Playbooks: a name for a wide piece of work, the operations it comes to, and in which order a careful engineer does them.

They are data, one YAML file each in `playbooks/`. One with a single operation only adds utterances to that operation.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from datareeve.core.value import Value

FOLDER = Path(__file__).parent / "playbooks"


class Playbook(Value):
    """A named list of operations. `before` and `after` name operations that its own are carried out before or after.

    `seen`: what comes after its operations is planned with what they will have written. `drafts` names the operation that makes the data contract where there is none; `each`: where several things fit, all of them are meant.
    `looks`: as words have its operations, they change nothing.
    """

    name: str
    title: str
    examples: tuple[str, ...]
    operations: tuple[str, ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    because: str = ""
    drafts: str = ""
    each: bool = False
    looks: bool = False
    seen: bool = False


@lru_cache(maxsize=1)
def load(folder: Path = FOLDER) -> tuple[Playbook, ...]:
    """Every playbook, by file name. Errors: pydantic's, for a file that is not one (it is part of the program)."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - loaded when a task is planned

    yaml = YAML(typ="safe", pure=True)
    return tuple(Playbook(name=path.stem, **yaml.load(path)) for path in sorted(folder.glob("*.yaml")))


class Order(Value):
    """One operation before another, and why. `guards`: without the first, the other is done at a risk. `seen`: as of the playbook."""

    first: str
    then: str
    because: str
    guards: bool = False
    seen: bool = False


def orders(playbooks: tuple[Playbook, ...]) -> tuple[Order, ...]:
    """What the playbooks say about order. It holds for their operations however they came into a task."""
    return tuple(
        Order(
            first=first,
            then=then,
            because=playbook.because,
            guards=guards and not playbook.seen,
            seen=playbook.seen,
        )
        for playbook in playbooks
        for first, then, guards in (
            *((own, other, True) for own in playbook.operations for other in playbook.before),
            *((other, own, False) for own in playbook.operations for other in playbook.after),
        )
    )
