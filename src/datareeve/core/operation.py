"""The three core types, `Operation`, `Plan` and `Outcome`, and what they are made of.

The one idea needed to read the product: **a plan is data**. An operation looks (`observe`), decides (`plan`, pure) and looks
again (`verify`); it never acts. Everything it wants done or known of the world is a `Call`, a value that names a
system, an action that the system publishes, and its arguments. A call can be shown, fingerprinted, stored, carried out by another
process after a crash, and asked again a year later as evidence.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import Field

from datareeve.core import clock
from datareeve.core.errors import DatareeveError
from datareeve.core.value import Value, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Effect(StrEnum):
    """What a step does to the world, from harmless to not. The authority grants by effect."""

    READ = "read"
    REVERSIBLE = "reversible"
    IRREVERSIBLE = "irreversible"
    COST = "cost"


EFFECT_ORDER = tuple(Effect)


class Call(Value):
    """Something asked of a system: `action` is a method its adapter publishes, `arguments` are JSON."""

    system: str
    action: str
    arguments: dict[str, Any] = Field(default_factory=dict)


Comparison = Literal["equals", "at_least", "at_most", "contains"]


class Claim(Value):
    """A sentence about the world that can be tested: reading `call` gives `expected`.

    Requirements (before), probes (did the effect happen?) and checks (is it done?) are all claims.
    """

    text: str
    call: Call
    expected: Any = True
    comparison: Comparison = "equals"
    remedy: str = ""

    def holds(self, observed: Any) -> bool:
        """Whether `observed` satisfies the claim."""
        if self.comparison == "equals":
            return bool(observed == self.expected)
        if observed is None:
            return False
        if self.comparison == "contains":
            return self.expected in observed
        return bool(observed >= self.expected if self.comparison == "at_least" else observed <= self.expected)


class Prediction(Value):
    """What a step is expected to cost; the outcome records the actual figures beside it. None: not known."""

    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    lock: str | None = None  # the strongest PostgreSQL lock mode taken, and on what
    basis: str = ""  # where the figures come from: 'pg_class estimate', 'rehearsed on a copy'


class Step(Value):
    """One effect on one system, with its reason, its probe and its idempotent undo."""

    id: str  # unique within its plan part; the ledger and the report use it
    call: Call
    why: str  # one sentence
    effect: Effect
    probe: Claim  # holds exactly when the effect is there
    undo: tuple[Call, ...] = ()  # idempotent, in order; also cleans up a half-made effect. Empty: no way back
    no_undo: str = ""  # where there is no undo: why, said beforehand
    predicted: Prediction = Prediction()
    touches: tuple[str, ...] = ()  # resources leased for the run: 'app:public.flights', 'app:settings'
    on: tuple[
        str, ...
    ] = ()  # systems that it changes, where the call is to one of ours that works on them: for the authority's rules
    schemas: tuple[str, ...] = ()  # for the authority's rules
    paths: tuple[str, ...] = ()  # files written, relative to the project
    cost_usd: float = 0.0
    transactional: bool = (
        False  # may commit in one transaction with its outcome, when the ledger is in the same database
    )
    restarts: bool = False  # interrupts the service for a moment
    shown: tuple[
        str, ...
    ] = ()  # what the call holds, for people to read in its place: the statements that are run
    continues: bool = (
        False  # done in parts that commit as they go: interrupted, it is carried on, and not undone first
    )
    needs_person: bool = False  # only ever by a person's approval of this very plan, whatever the rules allow


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Finding(Value):
    """Something noticed, with what to do instead. `figures` are measured, never estimated unless named so."""

    rule: str  # kebab-case, stable: 'missing-primary-key'
    subject: str  # 'public.flights (tailnum)'
    what: str
    why: str = ""
    instead: str = ""
    severity: Severity = Severity.WARNING
    figures: dict[str, Any] = Field(default_factory=dict)
    mended_by: str = (
        ""  # the operation that mends it, which names the subject in its summary: then it is no longer told
    )


class Plan(Value):
    """Everything that would happen, before any of it happens.

    A leaf plan belongs to one operation. A wide task's plan has `parts`, carried out in order; a part whose check fails is undone
    by itself, and the parts that need it are skipped.
    """

    operation: str
    inputs: dict[str, Any] = Field(default_factory=dict)
    summary: str  # one sentence: what will be done, or what was found
    nothing_to_do: str = ""  # the reason, where there are no steps
    requirements: tuple[Claim, ...] = ()
    steps: tuple[Step, ...] = ()
    checks: tuple[Claim, ...] = ()  # tested after the steps; default `verify` runs exactly these
    findings: tuple[Finding, ...] = ()
    figures: dict[str, Any] = Field(default_factory=dict)  # for the report: measured while observing
    blockers: tuple[str, ...] = ()  # what could not be planned, with what would unblock it
    parts: tuple[Plan, ...] = ()
    part_id: str = ""  # within a composite: unique and stable, '2.1'
    needs: tuple[str, ...] = ()  # part_ids that must be done first
    serves: str = ""  # within a task: the bullet this part answers, word for word

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything that matters to an approver: what is done, where, resting on what, and how it is undone.

        Figures, findings, predictions and reasons are left out: measuring again must not ask for a new approval.
        """
        return fingerprint(self._content())

    def _content(self) -> dict[str, Any]:
        return {
            "operation": self.operation,
            "inputs": self.inputs,
            "requirements": [c.model_dump(mode="json") for c in self.requirements],
            "steps": [s.model_dump(mode="json", exclude={"predicted", "why", "shown"}) for s in self.steps],
            "checks": [c.model_dump(mode="json") for c in self.checks],
            "part_id": self.part_id,
            "needs": list(self.needs),
            "parts": [p._content() for p in self.parts],  # noqa: SLF001 - of its own kind
        }

    @property
    def needs_person(self) -> bool:
        """Whether a step of it is only ever done by a person's approval: of the plan as shown, not of whatever comes out."""
        return any(step.needs_person for step in self.all_steps())

    def labelled(self, part_id: str, *, needs: tuple[str, ...] = (), serves: str = "") -> Plan:
        """The same plan as part `part_id` of a wider one: every id within it, and what it needs, gets that prefix, once."""
        parts = tuple(part.within(part_id, str(number), serves) for number, part in enumerate(self.parts, 1))
        return self.model_copy(update={"part_id": part_id, "needs": needs, "serves": serves, "parts": parts})

    def within(self, prefix: str, place: str, serves: str) -> Plan:
        """As a part of something labelled `prefix`, at `place` where it has no id of its own."""
        own = self.part_id or place
        parts = tuple(
            part.within(prefix, f"{own}.{number}", serves) for number, part in enumerate(self.parts, 1)
        )
        needs = tuple(f"{prefix}.{need}" for need in self.needs)
        return self.model_copy(
            update={"part_id": f"{prefix}.{own}", "needs": needs, "serves": serves, "parts": parts}
        )

    def leaves(self) -> Iterator[Plan]:
        """The plans that hold steps, in the order they are carried out."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    def all_steps(self) -> Iterator[Step]:
        """Every step of every part, in order."""
        for leaf in self.leaves():
            yield from leaf.steps

    @property
    def effect(self) -> Effect:
        """The strongest effect of any step; READ where there is none."""
        return max((s.effect for s in self.all_steps()), key=EFFECT_ORDER.index, default=Effect.READ)


class Verdict(StrEnum):
    """What looking gave."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_RUN = "not run"


class Check(Value):
    """A claim, tested: what was observed and when. `reason` says why where it was not run."""

    claim: Claim
    verdict: Verdict
    observed: Any = None
    reason: str = ""
    at: str = ""


class StepOutcome(Value):
    """What became of a step. `seconds`, and whatever `result` holds, stand beside the step's prediction."""

    step: str
    status: Literal["done", "failed", "undone", "undo-failed", "skipped"]
    seconds: float | None = None
    result: dict[str, Any] = Field(default_factory=dict)
    error: str = ""
    found_by_probe: bool = False  # after a crash: the effect was there already and was not repeated


class PartOutcome(Value):
    """What became of one leaf plan."""

    part_id: str
    operation: str
    serves: str = ""
    summary: str = ""
    status: Literal["done", "nothing to do", "blocked", "failed", "undone", "skipped"]
    reason: str = ""
    steps: tuple[StepOutcome, ...] = ()
    checks: tuple[Check, ...] = ()
    figures: dict[str, Any] = Field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    blockers: tuple[str, ...] = ()


class Outcome(Value):
    """What became of a run: `done` only when every check of every part holds."""

    run: str
    plan: str  # fingerprint
    status: Literal["done", "nothing to do", "failed", "undone", "partly done"]
    parts: tuple[PartOutcome, ...] = ()
    started_at: str = ""
    undo_at: str = ""  # when it was last begun to be taken back; '' where nobody asked for that
    ended_at: str = ""


class Reader(Protocol):
    """What an operation may do with a system while it observes and verifies: read, and nothing else."""

    name: str
    kind: str

    def read(self, action: str, /, **arguments: Any) -> Any:
        """The JSON answer of one of the system's published reads. Errors: `DatareeveError`."""


class Copy(Reader, Protocol):
    """A disposable copy of a system, on which real statements are tried during rehearsal."""

    def perform(self, action: str, /, **arguments: Any) -> dict[str, Any]:
        """Carry out one of the system's published effects on the copy."""


class System(Reader, Protocol):
    """A thing outside, as the runner sees it. One thin adapter each, in `systems/`."""

    def identity(self) -> str:
        """What this really is, equal for two names of the same thing ('pg:<system identifier>:<database oid>')."""

    def perform(
        self, action: str, /, *, run: str, connection: Any = None, fence: Any = None, **arguments: Any
    ) -> dict[str, Any]:
        """Carry out a published effect, marked as `run`'s; gives figures (rows, bytes, ...) for the outcome.

        `connection`: the ledger's own open transaction, where the effect commits together with its outcome.
        `fence`: the lease that the run is carried out under, for effects that are fenced where they commit.
        """

    def settle(self, run: str) -> None:
        """End whatever an earlier worker of this run may still have going here, and wait until it has ended."""


class Systems(Protocol):
    """The systems of the estate by name, and the built-in ones: `files`, `ledger`, `host`."""

    def __getitem__(self, name: str) -> Reader:
        """The reader of that name; `BadInput` with the nearest name where there is none."""

    def names(self, kind: str | None = None) -> tuple[str, ...]:
        """The estate's system names, of one kind or all."""


FactsT = TypeVar("FactsT", bound=Value)


class Operation(Value, Generic[FactsT]):
    """One thing Datareeve can do. The fields of a subclass are its inputs; its docstring is product text (CLI, MCP, docs).

    The first line of the docstring is the title, the rest says what it does, what it needs and how it is undone.
    """

    name: ClassVar[str]  # 'databases.create-index'
    effect: ClassVar[Effect] = Effect.READ  # the strongest effect any plan of it may have
    examples: ClassVar[
        tuple[str, ...]
    ] = ()  # utterances a person would use; the task intake matches against them
    said_as: ClassVar[
        tuple[str, ...]
    ] = ()  # how words give its inputs, as regular expressions: a group is named for an input, or for it and a number
    goes_to: ClassVar[tuple[str, ...]] = ()  # the kinds of system it works on: ('postgresql',)
    takes_long: ClassVar[bool] = (
        False  # though it only reads: scheduled, it must not hold up what looks every minute
    )
    sampled_as: ClassVar[str] = ""  # where it has no input `system`: the name that its figures are kept under

    def observe(self, systems: Systems) -> FactsT:
        """Look, without changing anything."""
        raise NotImplementedError

    def rehearse(self, facts: FactsT, copy: Copy) -> FactsT:
        """Try on a disposable copy what cannot be known by looking; gives richer facts. Default: nothing to try."""
        del copy
        return facts

    def needs_a_copy(self) -> bool:
        """Whether `rehearse` needs a copy of its own; else it is given the system itself, to read more of it."""
        return True

    def learns_on_a_copy(self) -> bool:
        """Whether it has something of its own to try in a rehearsal: with these inputs, where that depends on them."""
        return type(self).rehearse is not Operation.rehearse

    def plan(self, facts: FactsT) -> Plan:
        """Decide. Pure: the same facts give the same plan."""
        raise NotImplementedError

    def verify(self, systems: Systems, plan: Plan) -> tuple[Check, ...]:
        """Look again. Default: test the plan's checks."""
        return tuple(examine(claim, systems) for claim in plan.checks)

    def inputs(self) -> dict[str, Any]:
        """The inputs as JSON, for the plan."""
        return self.model_dump(mode="json")


def examine(claim: Claim, systems: Systems) -> Check:
    """Read what the claim is about and compare. An error of the system is a check that was not run, with the reason."""
    try:
        observed = systems[claim.call.system].read(claim.call.action, **claim.call.arguments)
    except DatareeveError as error:
        return Check(
            claim=claim, verdict=Verdict.NOT_RUN, reason=f"{error.code}: {error.what}", at=clock.stamp()
        )
    verdict = Verdict.HOLDS if claim.holds(observed) else Verdict.FAILS
    return Check(claim=claim, verdict=verdict, observed=observed, at=clock.stamp())


class CatalogueView(Protocol):
    """The catalogue as the agent sees it: names and operation types."""

    def names(self) -> tuple[str, ...]:
        """Every operation's name, sorted."""

    def get(self, name: str) -> type[Operation[Any]]:
        """The operation of that name; `BadInput` with the nearest name where there is none."""

    def make(self, name: str, inputs: Mapping[str, Any]) -> Operation[Any]:
        """The operation with its inputs; `BadInput` naming the field that is wrong."""
