"""What a load reads from, whatever it is: a table, a query, files, an HTTP API, a generator.

A source is a relation that DuckDB can read, in *parts* that are told from one another by a stable id: what of a build is committed already is
known by it after a crash. Where it stands is a *position*, JSON that only the source understands: how far a cursor came, which files were read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from datareeve.systems.mover import Mover


@dataclass(frozen=True)
class SourceColumn:
    """A column as it is read. `type` is DuckDB's; `told` is the source's own word for it."""

    name: str
    type: str  # DECIMAL(12,2), TIMESTAMP WITH TIME ZONE, VARCHAR
    told: str
    nullable: bool = True
    loses: str = ""  # what reading it so would lose: 'digits beyond 38', 'the time zone'; '' nothing


@dataclass(frozen=True)
class Part:
    """A part of the rows that commits as one. `id` is the same whenever the same rows are planned again."""

    id: str
    rows: int | None = None  # an estimate
    bytes: int | None = None
    told: str = ""  # for people: 'id 1 to 500000', 'flights/2026-01.csv'
    data: dict[str, Any] = field(default_factory=dict)  # what the source needs to read it


@dataclass(frozen=True)
class Reading:
    """What one run is to read: the parts in order, and where it stands when all of them are committed."""

    parts: tuple[Part, ...]
    position: dict[str, Any]
    rows: int | None = None
    bytes: int | None = None
    stated: dict[str, Any] = field(default_factory=dict)  # what was detected: encoding, delimiter, sheet
    warnings: tuple[str, ...] = ()  # 'the cursor went backwards', 'two files are empty'


class RowSource(Protocol):
    """The rows of one load. Errors: `DatareeveError`, never with a value of a row."""

    def columns(self, mover: Mover) -> list[SourceColumn]:
        """What there is to read now."""

    def reading(self, mover: Mover, position: dict[str, Any] | None, batch_rows: int | None) -> Reading:
        """What is new since `position` (None: everything), in parts of about `batch_rows` rows."""

    def relation(self, mover: Mover, part: Part) -> str:
        """A part's rows as DuckDB reads them, for a FROM clause, with the columns of `columns` under their names."""

    def carefully(self, mover: Mover, part: Part) -> tuple[str, str]:
        """A part that could not be read as it is: a relation of the rows that can be, and one of those that cannot.

        The second has the columns place (VARCHAR: 'flights.csv:120'), reason (VARCHAR) and row (VARCHAR, as it stands there).
        A source whose rows are always readable gives '' for it.
        """

    def keys_relation(self, mover: Mover, keys: tuple[str, ...]) -> str:
        """All keys that are there now, to know what was deleted; '' where the source cannot tell."""

    def still(self, part: Part) -> None:
        """Asked after a part was read. Errors: where it is no longer what it was when it was read."""

    def close(self) -> None:
        """Let go of connections and of what was spooled for this build."""
