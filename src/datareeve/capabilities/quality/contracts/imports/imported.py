"""What comes out of another tool's file: tables, rules, and by name what is not executed. Nothing is left out silently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.quality.contracts.drafts import spoken, with_ids
from datareeve.capabilities.quality.rule import Rule, Unsupported
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

Made = tuple[Rule, ...] | str  # the rules that a check is, or why it is none


class ImportedColumn(Value):
    """A column as the file describes it; an empty text where it does not say."""

    name: str
    logical_type: str = ""  # of ODCS
    physical_type: str = ""
    description: str = ""
    required: bool = False
    unique: bool = False
    key: int = 0  # its place in the primary key, from 1
    options: dict[str, Any] = Field(default_factory=dict)  # logicalTypeOptions
    enum: tuple[Any, ...] = ()
    tags: tuple[str, ...] = ()
    properties: tuple[ImportedColumn, ...] = ()
    items: ImportedColumn | None = None


class ImportedTable(Value):
    """A table as the file describes it."""

    name: str
    physical_name: str = ""
    description: str = ""
    columns: tuple[ImportedColumn, ...] = ()


class Leftover(Value):
    """Something that is not executed, as it is written: it stays in the contract for whoever executes it."""

    told: Unsupported
    table: str = ""
    column: str = ""
    engine: str = ""
    implementation: Any = None


class Imported(Value):
    """All that a file asks: `asked` things, of which each is a rule or a leftover."""

    source: str  # 'dbt', 'great-expectations', 'sodacl', 'json-schema', 'avro'
    tables: tuple[ImportedTable, ...] = ()
    rules: tuple[Rule, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    asked: int = 0

    @property
    def unsupported(self) -> tuple[Unsupported, ...]:
        """What is not executed, by name."""
        return tuple(one.told for one in self.leftovers)

    @property
    def executed(self) -> int:
        """Of what was asked, how much is executed in full."""
        return len({rule.at for rule in self.rules} - {one.at for one in self.unsupported})


class Collector:
    """Gathers what a file asks, one thing at a time."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._drafts: list[tuple[str, Rule]] = []
        self._leftovers: list[Leftover] = []
        self._asked: set[str] = set()
        self.tables: dict[str, ImportedTable] = {}

    def add(  # noqa: PLR0913 - each of them is asked for by name
        self,
        made: Made,
        at: str,
        name: str,
        original: Any,
        *,
        given: str = "",
        table: str = "",
        column: str = "",
    ) -> None:
        """One thing that was asked: its rules, or why there are none; `original` stays in the contract then."""
        self._asked.add(at)
        if isinstance(made, str):
            self.leave(made, at, name, original, table=table, column=column)
        else:
            self._drafts += [(given, spoken(rule.model_copy(update={"at": at}))) for rule in made]

    def leave(  # noqa: PLR0913 - each of them is asked for by name
        self, why: str, at: str, name: str, original: Any, *, table: str = "", column: str = ""
    ) -> None:
        """Something, or a part of it, that is not executed."""
        self._asked.add(at)
        told = Unsupported(at=at, name=name, why=why)
        self._leftovers.append(
            Leftover(told=told, table=table, column=column, engine=self._source, implementation=original)
        )

    def table(self, name: str, columns: Iterable[ImportedColumn] = (), **more: Any) -> None:
        """A table of the file."""
        self.tables[name] = ImportedTable(name=name, columns=tuple(columns), **more)

    def result(self) -> Imported:
        """Everything, with unique ids."""
        return Imported(
            source=self._source,
            tables=tuple(self.tables.values()),
            rules=with_ids(self._drafts),
            leftovers=tuple(self._leftovers),
            asked=len(self._asked),
        )
