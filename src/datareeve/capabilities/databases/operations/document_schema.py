"""`databases.document-schema`: the schema as Markdown with a Mermaid diagram, and as one HTML page with a drawn one."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases.document import paths
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Step, Systems
from datareeve.core.value import Value


class DocumentSchemaFacts(Value):
    """By path: the digest of the document that is there (None: none), and whether it says what the schema is."""

    digests: dict[str, str | None]
    current: dict[str, bool]


class DocumentSchema(Operation[DocumentSchemaFacts]):
    """Document a schema: Markdown, a Mermaid diagram, and one searchable HTML page with a drawn diagram.

    Writes tables, columns, types, keys, indexes, relations, comments and rough sizes to `data/<system>-schema.md` and `.html`, as the schema is when they
    are written. The page needs no network. Undo puts back what stood there before.
    """

    name: ClassVar[str] = "databases.document-schema"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "document database architecture",
        "document the schema",
        "draw an ER diagram of my database",
        "write a data dictionary",
        "make an entity-relationship page of the tables",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql", "mysql", "sqlite", "duckdb")

    system: str = Field(description="the database's name in the estate")
    even_if_current: bool = Field(
        default=False,
        description="write them also where they are up to date: for a plan whose other parts change the schema",
    )

    def observe(self, systems: Systems) -> DocumentSchemaFacts:
        """Which documents are there, and whether they are up to date."""
        return DocumentSchemaFacts(
            digests={path: systems["files"].read("digest", path=path) for path in paths(self.system)},
            current={
                path: systems["documenter"].read("schema_document_current", system=self.system, path=path)
                for path in paths(self.system)
            },
        )

    def plan(self, facts: DocumentSchemaFacts) -> Plan:
        """One step a document that is missing or out of date."""
        stale = [path for path in facts.digests if self.even_if_current or not facts.current[path]]
        listed = " and ".join(facts.digests)
        quiet = "" if stale else f"{listed} describe the schema as it is."
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=quiet or f"Write {' and '.join(stale)}.",
            nothing_to_do=quiet,
            requirements=tuple(self._unchanged(path, facts.digests[path]) for path in stale),
            steps=tuple(self._write(path, facts.digests[path]) for path in stale),
            checks=tuple(self._current(path) for path in stale),
        )

    def _write(self, path: str, before: str | None) -> Step:
        return Step(
            id=f"write {path}",
            call=Call(
                system="documenter",
                action="write_schema_document",
                arguments={"system": self.system, "path": path},
            ),
            why="Whoever works with the data finds the tables and how they hang together without asking the server.",
            effect=Effect.REVERSIBLE,
            probe=self._current(path),
            undo=(Call(system="files", action="restore", arguments={"path": path, "digest": before}),),
            touches=(f"files:{path}",),
            paths=(path,),
        )

    def _current(self, path: str) -> Claim:
        call = Call(
            system="documenter",
            action="schema_document_current",
            arguments={"system": self.system, "path": path},
        )
        return Claim(text=f"{path} describes the schema of {self.system} as it is", call=call)

    @staticmethod
    def _unchanged(path: str, digest: str | None) -> Claim:
        text = f"{path} is what it was when this was planned" if digest else f"{path} is not there yet"
        return Claim(
            text=text, call=Call(system="files", action="digest", arguments={"path": path}), expected=digest
        )
