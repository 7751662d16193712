"""What a source was seen to be: columns, keys, how much there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

Family = Literal["integer", "decimal", "float", "text", "date", "timestamp", "timestamptz", "boolean", "uuid", "other"]  # fmt: skip
FAMILIES: tuple[tuple[str, Family], ...] = (
    (r"^(tiny|small|medium|big|huge|u|ubig|usmall|utiny)?int(eger|[248])?\b|^(small|big)?serial", "integer"),
    (r"^(numeric|decimal|number|money)", "decimal"),
    (r"^(float|double|real)", "float"),
    (r"^(timestamp.*with time zone|timestamptz)", "timestamptz"),
    (r"^(timestamp|datetime)", "timestamp"),
    (r"^date$", "date"),
    (r"^bool", "boolean"),
    (r"^uuid", "uuid"),
    (r"char|text|string|clob|enum", "text"),
)
LITE_DECIMAL = re.compile(r"^(?:decimal|numeric)\s*\(\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?\)$", re.IGNORECASE)
NAMED_A_KEY = re.compile(r"(?i)(^|_)(id|key|code|nr|no|number|uuid|guid)$|[a-z]I[dD]$")


class Seen(Value):
    """A column."""

    name: str
    type: str  # the source's own word
    family: Family
    nullable: bool = True
    numbered: bool = False  # the engine gives its values out: identity, serial, auto_increment
    nulls: int | None = None  # where they were counted
    scale: int | None = None  # of a decimal without a precision: what its values have
    digits: int | None = None
    misfits: int | None = None  # values that are not of the decimal that SQLite was told


class Key(Value):
    """Columns that tell one row from another, and how that is known."""

    columns: tuple[str, ...]
    why: Literal["primary", "unique", "measured"]
    told: str = ""  # the index's name


class Source(Value):
    """What was looked at."""

    kind: str
    table: str = ""  # as a pipeline names it
    query: str = ""  # where its name cannot be written so
    files: str = ""
    url: str = ""
    page: int | None = None  # of an address: the rows of the one page that was looked at
    columns: tuple[Seen, ...] = ()
    keys: tuple[Key, ...] = ()
    indexed: tuple[str, ...] = ()  # the first columns of indexes
    rows: int | None = None
    counted: bool = False
    changed: int | None = (
        None  # rows that were updated or deleted, as the server counts them; None: it does not tell
    )
    stated: dict[str, Any] = {}  # noqa: RUF012 - of files: how they are read
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> Seen | None:
        """The column of that name, whatever its case."""
        return next((one for one in self.columns if one.name.casefold() == name.casefold()), None)


def family(type_: str) -> Family:
    """What a type is in words that all engines share."""
    return next((one for pattern, one in FAMILIES if re.search(pattern, type_.strip().lower())), "other")


def seen(row: Mapping[str, Any]) -> Seen:
    """A column of a catalog's row: name, type, not_null, numbered."""
    type_ = str(row["type"] or "")
    return Seen(
        name=row["name"],
        type=type_,
        family=family(type_),
        nullable=not row["not_null"],
        numbered=bool(row.get("numbered")),
    )


def quoted(name: str, sign: str = '"') -> str:
    """A name as an identifier."""
    return sign + name.replace(sign, sign * 2) + sign
