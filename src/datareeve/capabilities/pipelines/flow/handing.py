"""A model that Spark builds: what it reads is handed over as files, and what it makes is loaded beside what is published.

The target is not held open while Spark works. A step that was interrupted is done again from the beginning; the build says what it had begun.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from datareeve.capabilities.pipelines.flow import modelling, names
from datareeve.capabilities.pipelines.flow.building import own_build
from datareeve.capabilities.pipelines.models.incremental import from_on
from datareeve.capabilities.pipelines.models.kinds import INT16, Kind, as_decimal, is_exact, kind_of
from datareeve.capabilities.pipelines.models.words import TYPES, Words
from datareeve.core.errors import BadInput, DatareeveError, Failed
from datareeve.systems import spark_exchange, spark_models
from datareeve.systems.destination import Batch
from datareeve.systems.mover import identifier, literal

if TYPE_CHECKING:
    from datareeve.systems.destination import Destination, Held
    from datareeve.systems.pipeline_desk import Shop
    from datareeve.systems.spark import Spark
    from datareeve.systems.spark_models import Built


def engines(shop: Shop, given: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Each engine that models are built by: {folder}, or {error} where it cannot be."""
    found: dict[str, dict[str, str]] = {}
    for name in given["engines"]:
        try:
            found[name] = {"folder": str(spark_exchange.ready(_engine(shop, name)))}
        except DatareeveError as error:
            found[name] = {"error": f"{error.code}: {error.what} {error.remedy}"}
    return found


def forget(shop: Shop, engine: str, there: str, held: Held) -> None:
    """Remove the files that interrupted steps left."""
    spark_exchange.forget(shop, _engine(shop, engine), there, held)


def model(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
    """Build one model by Spark, beside what is published, and find what it changes."""
    spark = _engine(shop, given["engine"])
    with ExitStack() as files:
        with shop.destination(given["system"]) as there:
            held = own_build(shop, there, given)
            _begun(there, held, given)
            mode, since = modelling.way(there, given)
            select = given["select"]
            if since:
                column = given["incremental"]["column"]
                told = there.columns(given.get("schema"), given["table"])[column]
                select = from_on(select, column, told, since, "spark")
            inputs = _inputs(there, given)
            folder = files.enter_context(spark_exchange.folder(shop, spark, there.name, held))
            tables = spark_exchange.export(shop, there, inputs, folder)
        modelling.tested(lambda statement: spark_models.answered(spark, statement), given)
        built = spark_models.build(spark, select, tables, str(folder / "result"))
        return _taken(shop, given, built, mode, since)


def _begun(there: Destination, held: Held, given: dict[str, Any]) -> None:
    """Say what is begun, so that it is known what to remove; what an earlier attempt made is gone."""
    begun = {"target": given["table"], "engine": given["engine"]}
    elsewhere = {**held.build.get("elsewhere", {}), given["name"]: begun}
    with there.commit(held):
        for beside in (names.next_, names.incoming):
            there.remove(given.get("schema"), beside(given["table"]))
        there.record(held, build={**held.build, "elsewhere": elsewhere})


def _taken(shop: Shop, given: dict[str, Any], built: Built, mode: str, since: str) -> dict[str, Any]:
    """Load what Spark made, and find what it changes."""
    schema, name = given.get("schema"), given["name"]
    made = (names.next_ if mode == "full" else names.incoming)(given["table"])
    with shop.destination(given["system"]) as there:
        held = own_build(shop, there, given)
        words, kinds = Words(there.dialect), _kinds(given, built)
        # Rows come to PostgreSQL only by a type with digits; the type itself has none.
        wide = [column for column, kind in kinds.items() if kind == INT16 and words.postgres]
        place, batch = there.table(schema, made), Batch(held.build["id"], f"model {name}", "all")
        with there.commit(held):
            there.remove(schema, made)
            there.forget_batch(held, batch)
            columns = (
                f"{identifier(column)} {words.type(as_decimal(kind) if column in wide else kind)}"
                for column, kind in kinds.items()
            )
            there.run(f"CREATE TABLE {place} ({', '.join(columns)})")
        there.ready()
        there.insert(held, batch, there.moved(schema, made), _Rows(built, kinds))
        with there.commit(held):
            for column in wide:
                there.run(f"ALTER TABLE {place} ALTER COLUMN {identifier(column)} TYPE {words.type(INT16)}")
            first = mode == "full" and not there.kind_of(schema, given["table"])
            change = modelling.merged(there, held, given, mode=mode, first=first, made=made, since=since)
            del held.build["elsewhere"][name]
            modelling.record(there, held, given, change)
    return modelling.figures(given, change)


class _Rows:
    """What Spark made, as rows of the target's types."""

    def __init__(self, built: Built, kinds: dict[str, Kind]) -> None:
        self.columns = tuple(kinds)
        listed = ", ".join(
            f"CAST({identifier(name)} AS {_parquet(kind)}) AS {identifier(name)}"
            for name, kind in kinds.items()
        )
        self._select = f"SELECT {listed} FROM read_parquet({literal(built.files)})"

    def taken(self) -> str:
        """See `Rows`."""
        return self._select

    def rejected(self) -> str:
        """See `Rows`: a model's rows are all taken."""
        return ""

    def still(self) -> None:
        """See `Rows`: nobody else has the files."""


def _engine(shop: Shop, name: str) -> Spark:
    found = shop.systems[name]
    if found.kind != "spark":
        raise BadInput(
            "pipelines.engine",
            f"{name} is of kind {found.kind}: a model is built by its target itself, or by Spark.",
            "Name a Spark system of the estate as `engine`, or leave it out.",
        )
    return cast("Spark", found)


def _inputs(there: Destination, given: dict[str, Any]) -> list[spark_exchange.Table]:
    """The tables that go to Spark, with the types that the plan took them for. Errors: `BadInput` `pipelines.engine-type`."""
    tables = []
    for one in given["inputs"]:
        actual = there.columns(one["schema"], one["table"])
        for name, planned in one["columns"].items():
            if not _holds(kind_of(planned), kind_of(actual.get(name, ""))):
                raise BadInput(
                    "pipelines.engine-type",
                    f"{given['name']}: {one['name']}.{name} is {actual.get(name) or 'not there'}, and the plan took it for {planned}.",
                    "Plan the run again; where it stays so, give the column's type where it is loaded: `columns: {NAME: TYPE}`.",
                )
        columns = {name: _parquet(kind_of(planned)) for name, planned in one["columns"].items()}
        tables.append(spark_exchange.Table(one["view"], one["schema"], one["table"], columns))
    return tables


def _holds(planned: Kind, actual: Kind) -> bool:
    """Whether a cast changes no value, or fails."""
    if is_exact(planned) and is_exact(actual):
        return actual.scale <= planned.scale
    return planned == actual


def _parquet(kind: Kind) -> str:
    """A type in DuckDB's words, as Spark has it too."""
    return Words("duckdb").type(as_decimal(kind) if kind == INT16 else kind)


def _kinds(given: dict[str, Any], built: Built) -> dict[str, Kind]:
    """The types that the target keeps what was built as: as the target's own would be. Errors: `Failed` `pipelines.engine-result`."""
    kinds = {}
    for name, told in built.columns.items():
        kind, planned = kind_of(told), kind_of(given["columns"].get(name, told))
        if not (is_exact(kind) or kind.name in TYPES["spark"]):
            raise Failed("pipelines.engine-result", f"{given['name']}: its column {name} is {told} on {given['engine']}, which is no type of the target.", "Cast it to a text or a number, or write a row for each part.")  # fmt: skip
        kinds[name] = planned if planned == INT16 and kind == as_decimal(INT16) else kind
    return kinds
