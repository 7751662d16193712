"""What is sought of a person, and where: the arguments of the reads and effects on subjects' data, as values.

Nothing here holds a value of a row. A person is named by keyed digests (`keyed.py`), and by a reference to the key that only an adapter
follows. So a plan made of these can be stored, approved and carried out by another process, and its checks asked again years later.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from datareeve.core.value import Value

Mode = Literal["delete", "anonymise", "keep"]
Form = Literal["table", "parquet", "lines"]


class Trace(Value):
    """The keyed digest of something that tells a person: an e-mail address, a telephone number, the key."""

    digest: str
    atoms: int  # words that it is made of; 0: a number, compared by its last digits
    category: str = ""
    weak: bool = False  # a short number: only beside one of `Sought.names`
    short: tuple[
        str, ...
    ] = ()  # salted short digests of its first and its longest word, or of a number's last digits


class Sought(Value):
    """Who is sought."""

    subject: str  # whose data: customer
    digest: str  # of the key
    reference: str | None = None  # where the key stands; without it columns are compared digest by digest
    traces: tuple[Trace, ...] = ()
    names: tuple[str, ...] = ()  # how the key is called in text: customerid, customer


class Within(Value):
    """Rows of another table of the same system, whose `column` is referred to."""

    table: str
    column: str
    match: Match
    along: tuple[str, ...] = ()  # the further columns of a key of several


class Match(Value):
    """Which rows of a table are meant: those that every part that is given says."""

    column: str = ""  # holds the subject's key; with `within`: refers to that table
    within: Within | None = None
    along: tuple[str, ...] = ()  # with `within`: the further columns that refer to it, in its order
    values: tuple[str, ...] = ()  # columns that are compared with the subject's identifying values
    older: str = ""  # a column with moments
    before: str = ""  # the moment, ISO 8601
    also: Match | None = None  # a further condition on the same rows
    spared: tuple[str, ...] = ()  # digests of keys in `column` whose rows are left: legal holds
    spared_subject: str = ""


class Store(Value):
    """A dataset as a place to look in."""

    dataset: str
    table: str
    form: Form = "table"
    match: Match
    mode: Mode = "delete"
    set: dict[str, str] = Field(default_factory=dict)  # anonymise: column: null, token, text:…
    identifying: dict[str, str] = Field(default_factory=dict)  # column: category, that tell who it is
    expected: int | None = None  # rows, when it was planned


Within.model_rebuild()
