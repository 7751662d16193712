"""What a table's columns and rows say of one another: sums and products, what a value decides, series without gaps, text without damage.

Asked after the columns by themselves are known. What has many candidates or is slow to tell is tried at some rows first; what is left is
asked of every row that is looked at, and only what holds of all of them, or of next to all where that is said, is told. No value leaves the
engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality import relations_columns as of_columns
from datareeve.capabilities.quality import relations_rows as of_rows
from datareeve.capabilities.quality import relations_sums as of_sums
from datareeve.capabilities.quality.relations_columns import amounts, row_of
from datareeve.capabilities.quality.relations_rows import Regular  # noqa: TC001 - read by pydantic
from datareeve.capabilities.quality.relations_sums import Agrees, Decided, Identity
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.quality.profile import Look, Profile
    from datareeve.capabilities.quality.relations_columns import Answers


class Relations(Value):
    """What holds of every row that was looked at."""

    identities: tuple[Identity, ...] = ()
    decided: tuple[Decided, ...] = ()
    regular: Regular | None = None
    apart: tuple[str, ...] = ()  # columns beside the key, in which no two rows are alike
    undamaged: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - column -> the damages of `DAMAGE` that it has none of
    readable: dict[str, str] = {}  # noqa: RUF012 - column of text -> what all of it can be read as
    present: tuple[str, ...] = ()  # columns of text in which nothing stands for no value
    past: tuple[str, ...] = ()  # columns of moments that have come
    dated: tuple[str, ...] = ()  # columns of dates, none of which stands for no date
    agrees: tuple[Agrees, ...] = ()
    spread: dict[str, tuple[float, float]] = {}  # noqa: RUF012 - column -> mean and standard deviation


def first(look: Look, found: Profile) -> Iterator[dict[str, Any]]:
    """What is asked of each table: of every row what costs one pass, of some rows what has many candidates."""
    yield from of_columns.asked(look, found)
    yield from of_rows.asked(look, found)
    sums = of_sums.sums(found)
    if sums:
        yield of_sums.counted(
            look, "sums", sums, look.some(sorted({name for one in sums for name in one.columns}))
        )
    for one in of_sums.decisions(found):
        yield of_sums.decides(look, one, look.some([*one.by, one.column]))


def second(look: Look, found: Profile, answers: Answers) -> Iterator[dict[str, Any]]:
    """Of what held for some rows: whether it does for all that are looked at."""
    sums = list(of_sums.held(look, answers, "sums", of_sums.sums(found)))
    if sums:
        yield of_sums.counted(look, "sums all", sums, look.source)
    for one in of_sums.likely(look, found, answers):
        yield of_sums.decides(look, one, look.source, what="decides all")
    for column in found.columns:
        yield from of_columns.asked_of_whole_text(
            look, column, row_of(answers, f"{look.name}:text:{column.name}")
        )
    for regular in filter(None, [of_rows.stepped(look, found, answers)]):
        yield {"id": f"{look.name}:missing", "sql": of_rows.missing(look, regular)}


def relations(look: Look, found: Profile, some: Answers, all_: Answers) -> Relations:
    """What both rounds told."""
    sums = of_sums.held(look, all_, "sums all", list(of_sums.held(look, some, "sums", of_sums.sums(found))))
    stepped = of_rows.stepped(look, found, some)
    texts = {column.name: row_of(some, f"{look.name}:text:{column.name}") for column in found.columns}
    whole = {name: row_of(all_, f"{look.name}:whole text:{name}") for name in texts}
    moments = {name: row_of(some, f"{look.name}:moments:{name}") for name in of_columns.moments(found)}
    spreads = {
        one.name: of_columns.mean(row_of(some, f"{look.name}:spread:{one.name}")) for one in amounts(found)
    }
    return Relations(
        identities=tuple(Identity(columns=one.columns, sql=one.sql, rows=rows) for one, rows in sums.items()),
        decided=tuple(of_sums.decided(look, found, some, all_)),
        regular=stepped if stepped and row_of(all_, f"{look.name}:missing").get("n") == 0 else of_rows.daily(look, found, some),
        apart=tuple(of_rows.beside_key(look, found)) if row_of(some, f"{look.name}:apart").get("n") == found.rows else (),
        undamaged={name: of_columns.undamaged(told) for name, told in texts.items() if whole[name].get("damaged") == 0},
        readable={name: type_ for name, told in texts.items() if (type_ := of_columns.read_as(told)) and of_columns.is_read(look, name, type_, all_)},
        present=tuple(name for name, told in texts.items() if told.get("stands") == 0 == whole[name].get("stands")),
        past=tuple(name for name, told in moments.items() if told.get("ahead") == 0),
        dated=tuple(name for name, told in moments.items() if told.get("none") == 0),
        spread={name: told for name, told in spreads.items() if told},
    )  # fmt: skip
