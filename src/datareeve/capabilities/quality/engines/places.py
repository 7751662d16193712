"""Which table of an engine a contract means: by the name as it stands, then by schema and name, then whatever the case.

A contract that was drafted on one engine is checked on others: `public.customers` is `main.customers` in DuckDB, `customers` in SQLite and in
a folder. A schema that an engine does not have is left aside where one table alone has the name, and where it is the default of another engine
or this system has but one; `elsewhere` tells, so that a plan can.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from datareeve.capabilities.quality.catalog import CatalogTable

    PlaceT = TypeVar("PlaceT", bound=tuple[str, ...])

DEFAULTS = frozenset(
    ("public", "main", "dbo", "default")
)  # the schema of tables that are given none, by engine
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
        for candidates, preferred in _candidates(name, known, prefer):
            best = candidates if len(candidates) == 1 else [one for one in candidates if one[0] in preferred][:1]  # fmt: skip
            if best:
                found[name] = best[0]
                break
    return found


def elsewhere(name: str, place: tuple[str, ...]) -> bool:
    """Whether a table was taken by its last name, and what stands before it in the contract left aside."""
    given, there = _folded(parts(name)), _folded(place)
    as_it_stands = name in (place[-1], ".".join(place)) or given == there[-len(given) :]
    return not as_it_stands and given[-1:] == there[-1:]


def goes_by(name: str, table: CatalogTable) -> bool:
    """Whether a table is meant by a name: by its place, or by one of the others that it goes by."""
    return any(_as_they_stand(name, [place]) != [[], [], []] for place in (table.place, *table.also))


def _candidates(
    name: str, places: list[PlaceT], prefer: Sequence[str]
) -> Iterator[tuple[list[PlaceT], Sequence[str]]]:
    for same in _as_they_stand(name, places):
        yield same, prefer
    asked = _folded(parts(name))
    schemas = {schema for place in places for schema in _folded(place[:-1])}
    if len(asked) > 2 and asked[-2] in schemas:  # noqa: PLR2004 - database, schema and name
        yield [place for place in places if _folded(place)[-2:] == asked[-2:]], ()
    elif len(asked) > 1 and not schemas & set(asked[:-1]) and (asked[-2] in DEFAULTS or len(schemas) <= 1):
        # Of several schemas, one that is not among them may have gone, and its tables with it.
        same = [place for place in places if _folded(place)[-1] == asked[-1]]
        yield same, prefer if asked[-2] in DEFAULTS else ()


def _as_they_stand(name: str, places: list[PlaceT]) -> list[list[PlaceT]]:
    """Those of that very name (files have dots in theirs), of that schema and name, and of these whatever the case."""
    asked = parts(name)
    return [
        [place for place in places if name in (place[-1], ".".join(place))],
        [place for place in places if place[-len(asked) :] == asked],
        [place for place in places if _folded(place)[-len(asked) :] == _folded(asked)],
    ]


def _folded(name: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.lower() for part in name)
