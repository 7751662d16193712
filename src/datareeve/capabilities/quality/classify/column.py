"""A column as the classifier is told of it, and what it says of it."""

from __future__ import annotations

from pydantic import Field

from datareeve.core.personal_data.values import Looks, look
from datareeve.core.value import Value


class ColumnEvidence(Value):
    """A column without a value of it: what an adapter tells."""

    name: str
    type: str = ""  # the engine's own word: 'varchar(80)'
    family: str = ""  # as `catalog.Family`; '' where it is not known
    comment: str = ""
    looks: Looks = Looks()
    null_share: float | None = None
    distinct_ratio: float | None = None  # distinct values beside rows with a value
    table: str = ""
    others: tuple[str, ...] = ()  # the other columns of the table, where they are not given themselves
    rows: int | None = None


class ColumnSample(Value):
    """A column with sampled values: up to 40 distinct ones that are not NULL, as text. It is looked at where it is made."""

    name: str
    type: str = ""
    family: str = ""
    comment: str = ""
    values: tuple[str, ...] = Field((), repr=False)
    null_share: float | None = None
    distinct_ratio: float | None = None
    table: str = ""
    others: tuple[str, ...] = ()

    def evidence(self) -> ColumnEvidence:
        """The same without its values."""
        told = self.model_dump(exclude={"values"})
        return ColumnEvidence(**told, looks=look(self.values))


class Classified(Value):
    """What a column is taken for. `category` is None where it is not personal; `evidence` then says what it only looks like, if anything."""

    column: str
    category: str | None = None
    confidence: float = 0.0  # that this answer is right: 0 to 1, calibrated by the corpus
    evidence: str = ""  # in words, with counts and shapes: no value
    looked_at: int = 0  # distinct values
    paths: dict[str, str] = Field(default_factory=dict)  # of JSON: path -> category
    case: str = ""  # what the answer rests on: name, values, table
