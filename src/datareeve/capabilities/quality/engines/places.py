"""Which table of an engine a contract means: by the name as it stands, then by schema and name, then whatever the case."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    PlaceT = TypeVar("PlaceT", bound=tuple[str, ...])

PART = re.compile(r'"((?:[^"]|"")+)"|`((?:[^`]|``)+)`|([^."`]+)')


def parts(name: str) -> tuple[str, ...]:
    """'public."Odd.name"' as ('public', 'Odd.name')."""
    return tuple(
        (a.replace('""', '"') or b.replace("``", "`") or c).strip() for a, b, c in PART.findall(name)
    )


def choose(
    names: Iterable[str], places: Iterable[PlaceT], *, prefer: Sequence[str] = ()
) -> dict[str, PlaceT]:
    """The place of each name that has exactly one; `prefer`: schemas that win where a bare name is in several."""
    known = list(places)
    found = {}
    for name in names:
        for candidates in _candidates(name, known):
            best = candidates if len(candidates) == 1 else [one for one in candidates if one[0] in prefer][:1]
            if best:
                found[name] = best[0]
                break
    return found


def _candidates(name: str, places: list[PlaceT]) -> Iterable[list[PlaceT]]:
    asked = parts(name)
    yield [place for place in places if place[-1] == name]
    yield [place for place in places if place[-len(asked) :] == asked]
    folded = tuple(part.lower() for part in asked)
    yield [place for place in places if tuple(part.lower() for part in place)[-len(asked) :] == folded]
