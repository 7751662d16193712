"""A catalogue of small operations with the names, docstrings and examples that a real one has, and no servers."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, create_model

from datareeve import capabilities
from datareeve.core.catalogue import Catalogue
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Prediction, Step
from datareeve.core.value import Value

DESCRIPTIONS = {
    "databases.review-schema": ("Review a schema for what is missing, wasteful or about to overflow.", ("review the schema", "find missing primary keys and foreign keys", "which foreign keys are missing", "check for orphan rows", "find columns with wasteful types")),
    "databases.repair-schema": ("Add the primary keys and foreign keys that a schema lacks.", ("repair the schema", "add the missing keys", "fix missing primary and foreign keys", "enforce referential integrity")),
    "databases.add-primary-key": ("Add a primary key without blocking writers.", ("add a primary key to a table", "make id the primary key")),
    "databases.add-foreign-key": ("Add a foreign key without blocking writers.", ("add a foreign key from orders to customers", "reference another table", "add a constraint that orders point at existing customers")),
    "databases.document-schema": ("Document the schema as Markdown, a diagram and a page.", ("document database architecture", "write the data dictionary", "draw an ERD", "schema documentation")),
    "databases.tune-settings": ("Tune the server's settings to its machine and workload.", ("tune settings", "optimize memory settings", "set shared_buffers and work_mem", "configure performance settings")),
    "databases.configure-pool": ("Configure a PgBouncer connection pool.", ("configure connection pooling", "set up pgbouncer", "too many connections", "size the connection pool")),
    "databases.advise-indexes": ("Advise which indexes the workload needs, measured on a copy.", ("advise indexes", "which indexes are missing", "implement an indexing strategy", "suggest indexes for the workload")),
    "databases.create-index": ("Create an index without blocking writers.", ("create an index on flights tailnum", "add a btree index to a column", "index this table")),
    "databases.drop-index": ("Drop an index without blocking writers.", ("drop an unused index", "remove a duplicate index", "drop index flights_tailnum_idx")),
    "databases.find-slow-queries": ("Find the queries that cost most, and why.", ("find slow queries", "which queries take the most time", "detect N+1 query patterns", "top queries by total time")),
    "databases.explain-query": ("Explain how one query is carried out.", ("explain this query", "show the query plan", "explain analyze a statement", "why is this query slow")),
    "databases.measure-workload": ("Measure the workload: queries per second and latency percentiles.", ("measure the workload", "benchmark the database", "what is our query latency", "queries per second")),
    "databases.back-up": ("Take a base backup and check it.", ("back up the database", "take a backup now", "make a base backup")),
    "databases.restore": ("Restore a backup to a moment, beside production.", ("restore the database to yesterday 14:00", "point-in-time recovery", "restore a backup", "recover to a point in time")),
    "databases.drill-restore": ("Drill a restore: restore beside production, compare, measure.", ("test the backup", "restore drill", "prove that our backups can be restored", "verify backups")),
    "databases.schedule-backups": ("Schedule backups.", ("schedule nightly backups", "back up every night at 2", "run backups daily")),
    "databases.set-up-backups": ("Set up backups: take one, drill its restore, schedule the next.", ("set up automated backups and recovery", "configure backups", "automate backups")),
    "databases.check-health": ("Check the database's health now.", ("is the database healthy", "check health", "how is the database doing", "health check", "database status")),
    "databases.watch": ("Watch the database: health samples, alert rules, escalations.", ("configure monitoring and alerting", "watch the database", "alert when connections run out", "set up alerts")),
}  # fmt: skip
NEEDED = {
    "databases.create-index": {
        "table": (str, ...),
        "columns": (tuple[str, ...], ...),
        "schema_name": (str, "public"),
    },
    "databases.drop-index": {"index": (str, ...), "schema_name": (str, "public")},
    "databases.add-primary-key": {"table": (str, ...), "columns": (tuple[str, ...], ...)},
    "databases.add-foreign-key": {
        "table": (str, ...),
        "columns": (tuple[str, ...], ...),
        "references": (str, ...),
    },
    "databases.explain-query": {"sql": (str, ...)},
    "databases.restore": {"moment": (str, ...)},
}


def needs_input(catalogue: Catalogue, name: str) -> bool:
    """Whether an operation is asked back for inputs that were not said."""
    fields = catalogue.get(name).model_fields
    return any(field.is_required() for key, field in fields.items() if key != "system")


READS = ("review-schema", "find-slow-queries", "explain-query", "measure-workload", "check-health")


class Fake(Operation[Value]):
    """Does nothing: one step a plan, named after the operation."""

    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)
    system: str = Field(description="the database")


def operation(
    name: str, title: str, examples: tuple[str, ...], base: type = Fake, **fields: Any
) -> type[Operation[Any]]:
    """An operation type of that name."""
    made = create_model(
        name.partition(".")[2].title().replace("-", ""), __base__=base, __doc__=title, **fields
    )
    made.name, made.examples = name, examples
    made.effect = Effect.READ if name.partition(".")[2] in READS else Effect.REVERSIBLE
    return made


def catalogue(*more: type[Operation[Any]]) -> Catalogue:
    """The catalogue of the fakes with the operations on AI, data quality and compliance as they are, and more."""
    fakes = [
        operation(name, title, said, **NEEDED.get(name, {})) for name, (title, said) in DESCRIPTIONS.items()
    ]
    real = (load() for name, load in capabilities.operations().items() if not name.startswith("databases."))
    return Catalogue([*fakes, *real, *more])


def step(name: str) -> Step:
    """A step as an operation makes it."""
    claim = Claim(
        text=f"{name} is there",
        call=Call(system="app", action="query", arguments={"sql": "SELECT 1"}),
        expected=1,
    )
    call = Call(system="app", action="execute", arguments={"sql": f"DO {name}"})
    return Step(id=name, call=call, why=f"{name} helps.", effect=Effect.REVERSIBLE, probe=claim, undo=(call,), predicted=Prediction(rows=336776, bytes=7_500_000, seconds=1.5, lock="SHARE UPDATE EXCLUSIVE", basis="rehearsed on a copy"))  # fmt: skip


def preview(op: Operation[Any]) -> Plan:
    """The plan of a fake: nothing for a read, three parts for set-up-backups, a step otherwise."""
    common: dict[str, Any] = {"operation": op.name, "inputs": op.inputs()}
    if op.name == "databases.set-up-backups":
        parts = tuple(Plan(operation=f"databases.{n}", inputs={"system": "app"}, summary=f"{n}.", steps=(step(n),), part_id=str(i), needs=(str(i - 1),) if i > 1 else ()) for i, n in enumerate(("back-up", "drill-restore", "schedule-backups"), 1))  # fmt: skip
        return Plan(**common, summary="Set up backups.", parts=parts)
    if op.effect is Effect.READ:
        return Plan(**common, summary=f"{op.name}: looked.", nothing_to_do="It only reads.")
    return Plan(**common, summary=f"Do {op.name}.", steps=(step(op.name),), checks=(step(op.name).probe,))
