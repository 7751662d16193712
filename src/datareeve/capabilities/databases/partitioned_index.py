"""An index of a partitioned table without blocking writers: the table's own first, which holds nothing; each partition's built concurrently; then attached.

CREATE INDEX CONCURRENTLY is not possible on a partitioned table. The manual's way (CREATE INDEX, "Building Indexes Concurrently"; ALTER INDEX ... ATTACH
PARTITION): the index of the whole becomes valid when the last partition's is attached. Dropping it drops what is attached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases import sql
from datareeve.core.operation import Call, Claim, Effect, Prediction, Step
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.operations.create_index import CreateIndex


MOST = 1000


class Partition(Value):
    """A partition of a table."""

    schema_name: str
    name: str
    is_partitioned: bool = False
    is_foreign: bool = False


def blocker(table: str, partitions: tuple[Partition, ...]) -> str:
    """Why it cannot be done for these partitions; empty where it can."""
    if len(partitions) > MOST:
        return f"{table} has {len(partitions):,} partitions: an index on each is a work of hours. Create it by hand on those that are asked, or in parts."
    deeper = [p.name for p in partitions if p.is_partitioned]
    if deeper:
        return f"{table} has partitions of partitions ({deeper[0]}, ...): create the index on each of those first."
    foreign = [p.name for p in partitions if p.is_foreign]
    return (
        f"{foreign[0]}, a partition of {table}, is on another server: create the index there."
        if foreign
        else ""
    )


def steps(operation: CreateIndex, partitions: tuple[Partition, ...]) -> Iterator[Step]:
    """The steps, in order."""
    whole = sql.identifier(operation.schema_name, operation.index_name())
    drop = Call(system=operation.system, action="execute", arguments={"sql": f"DROP INDEX IF EXISTS {whole}"})
    yield _step(
        operation,
        f"create-index {operation.index_name()}",
        operation.statement(concurrently=False).replace(" ON ", " ON ONLY ", 1),
        "The index of the whole table: it holds nothing itself, and is valid once every partition's is attached.",
        _exists(operation),
        (drop,),
        lock=f"SHARE on {operation.table}",
    )
    for partition in partitions:
        own = operation.model_copy(
            update={"table": partition.name, "schema_name": partition.schema_name, "index": None}
        )
        name = sql.identifier(own.schema_name, own.index_name())
        yield _step(
            operation,
            f"create-index {own.index_name()}",
            own.statement(),
            f"The part of {operation.index_name()} for {partition.name}, built without blocking writers.",
            own.valid(),
            (
                Call(
                    system=operation.system,
                    action="execute",
                    arguments={"sql": f"DROP INDEX CONCURRENTLY IF EXISTS {name}"},
                ),
            ),
            lock="SHARE UPDATE EXCLUSIVE",
        )
        yield _step(
            operation,
            f"attach-index {own.index_name()}",
            f"ALTER INDEX {whole} ATTACH PARTITION {name}",
            f"{partition.name} then serves queries on {operation.table} by its own part of the index.",
            _attached(operation, own),
            (drop,),
            lock=f"ACCESS SHARE on {operation.table}",
        )


def _step(  # noqa: PLR0913, PLR0917 - what a step is
    operation: CreateIndex,
    name: str,
    statement: str,
    why: str,
    probe: Claim,
    undo: tuple[Call, ...],
    *,
    lock: str,
) -> Step:
    return Step(
        id=name,
        call=Call(system=operation.system, action="execute", arguments={"sql": statement, **sql.PATIENT}),
        why=why,
        effect=Effect.REVERSIBLE,
        probe=probe,
        undo=undo,
        predicted=Prediction(lock=lock, basis="PostgreSQL manual, CREATE INDEX"),
        touches=(f"{operation.system}:{operation.schema_name}.{operation.table}",),
        schemas=(operation.schema_name,),
    )


def _exists(operation: CreateIndex) -> Claim:
    return _claim(
        operation,
        f"{operation.index_name()} is there",
        "SELECT to_regclass(%(index)s) IS NOT NULL",
        {"index": _name(operation)},
    )


def _attached(operation: CreateIndex, own: CreateIndex) -> Claim:
    question = "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(%(part)s) AND inhparent = to_regclass(%(index)s))"
    return _claim(
        operation,
        f"{own.index_name()} is a part of it",
        question,
        {"index": _name(operation), "part": _name(own)},
    )


def _name(operation: CreateIndex) -> str:
    return sql.identifier(operation.schema_name, operation.index_name())


def _claim(operation: CreateIndex, text: str, question: str, parameters: dict[str, str]) -> Claim:
    arguments = {"sql": question, "parameters": parameters, "shape": "scalar"}
    return Claim(text=text, call=Call(system=operation.system, action="query", arguments=arguments))
