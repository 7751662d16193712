"""The planner: a task becomes one composite plan, bullet by bullet, with what it could not plan said beside it.

Bullets keep their numbers everywhere: part '4' answers bullet 4, part '4.2' is the second thing that it takes. The report is read in that
order; parts are *carried out* in the order that the playbooks ask for (a proven backup before a change), and a note says so.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from datareeve.agent import inputs, naming, playbooks, scope
from datareeve.agent.describe import describe, nodes
from datareeve.agent.known import Known
from datareeve.agent.matching import LOOKS, Match, Matcher, Reading, asks
from datareeve.agent.report import WAITS
from datareeve.agent.task import OUR_AGENT, Task
from datareeve.core import clock
from datareeve.core.errors import BadInput, DatareeveError, NotOurWork
from datareeve.core.operation import Plan
from datareeve.core.value import Value, canonical, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date

    from datareeve.core.operation import CatalogueView, Operation

__all__ = ["Planner", "Question", "TaskPlan", "describe"]


AHEAD = ("files", "estate")  # what is written there is looked at ahead, by what comes after it
_NAMING = {
    "contract",
    "contracts",
    "tables",
    "left",
    "subject",
    "datasets",
}  # inputs that words give by names
RENEWED = "even_if_current"  # the input of operations whose result other parts of a task put out of date


class Question(Value):
    """What must be answered before a bullet can be planned, with the best readings."""

    number: str
    bullet: str
    text: str
    readings: tuple[Reading, ...] = ()


class TaskPlan(Value):
    """A task, what was noticed while reading it, what is asked back, and the plan of all that is sure."""

    task: Task
    notes: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    plan: Plan


class Want(Value):
    """One operation that a bullet asks for. `after`: what must be there before it, as `key` gives it."""

    number: str
    bullet: str
    operation: str
    inputs: dict[str, Any]
    part_id: str = ""
    after: str = ""

    @property
    def key(self) -> str:
        """What is wanted, whoever asks: two of one key are one thing."""
        return canonical([self.operation, self.inputs])


class Planner:
    """Plans tasks with a catalogue. It reads systems only through `preview` and what is `known` by name.

    `preview` gives an operation's plan; with plans after it, as it will be once those were carried out.
    """

    def __init__(
        self,
        catalogue: CatalogueView,
        preview: Callable[..., Plan],
        systems_of_kind: Callable[[str], tuple[str, ...]],
        known: Known | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._preview = preview
        self._systems_of_kind = systems_of_kind
        self._known = known or Known()
        self._playbooks = playbooks.load()
        self._each = {name for book in self._playbooks if book.each for name in book.operations}
        self._drafts = {
            name: book.drafts for book in self._playbooks if book.drafts for name in book.operations
        }
        self._matcher = Matcher(catalogue, self._playbooks)

    def plan(self, task: Task, *, today: date | None = None) -> TaskPlan:
        """The plan of a task. `today` stands in for the clock's date.

        Errors: `NotOurWork` `task.not-our-work`, where all of it is other agents' work.
        """
        if task.agent.casefold() not in (OUR_AGENT.casefold(), "data", "datareeve"):
            raise NotOurWork(
                "task.not-our-work",
                f"The task is delegated to the {task.agent} Agent.",
                f"Give it to that agent, or head it **{OUR_AGENT} Agent**.",
            )
        draft = _Draft(self, task, today or clock.now().date())
        for number, bullet in _numbered(task):
            draft.take(number, bullet, self._readings(task, bullet))
        return draft.task_plan()

    def _readings(self, task: Task, bullet: str) -> tuple[Match, ...]:
        """What a bullet means. Where it is unclear by itself, a headline that is surely not for this version decides against it."""
        matches = self._matcher.split(bullet, self._systems())
        if self._may_name(matches[0]):  # tables are looked up only where they may matter
            names = self._names(bullet).all
            again = self._matcher.split(bullet, self._systems(), names) if names else matches
            better = again[0].decision == "planned" and again[0].confidence >= matches[0].confidence
            matches = again if better or matches[0].decision != "planned" else matches
        for reading in matches[0].readings if matches[0].decision == "question" else ():
            again = self._matcher.split(bullet, self._systems(), self._names(bullet, reading.key).all)
            if again[0].decision == "planned" and again[0].readings[0].key == reading.key:
                matches = again
                break
        if matches[0].decision in ("question", "unknown"):
            headline = self._matcher.match(task.title)
            if headline.decision in ("later", "another's"):
                return (headline.model_copy(update={"text": bullet}),)
        return matches

    def _may_name(self, match: Match) -> bool:
        """Whether names of tables or contracts in the words may have been taken for words: it is unclear, or about things that have such names."""
        operations = match.readings[0].operations if match.readings else ()
        known = (
            set(self._catalogue.get(name).model_fields)
            for name in operations
            if name in self._catalogue.names()
        )
        return match.decision in ("question", "unknown") or any(fields & _NAMING for fields in known)

    def _systems(self) -> tuple[str, ...]:
        kinds = {kind for name in self._catalogue.names() for kind in self._catalogue.get(name).goes_to}
        return tuple(name for kind in sorted(kinds) for name in self._systems_of_kind(kind))

    def wants(self, task: Task, number: str, bullet: str, words: str, name: str) -> Iterator[Want]:
        """An operation with the inputs that the words give, for each thing that is meant. Errors: `BadInput` where something is not given."""
        operation = self._catalogue.get(name)
        named = _NAMING & operation.model_fields.keys() or len(self._of_kinds(operation, bullet)) > 1
        names = (
            self._names(words, name) if named else naming.Names()
        )  # tables are looked up only where they matter
        given = {**naming.stated(operation, words, names, self._known), **inputs.said(operation, words)}
        if LOOKS in operation.model_fields and asks(words):
            given.setdefault(LOOKS, False)
        if "today" in operation.model_fields and task.today:
            given.setdefault("today", task.today.isoformat())
        drafted = self._drafted(operation, given, names)
        for one, draft in drafted or (
            (one, None) for one in self._meant(task, bullet, operation, given, names)
        ):
            self._complete(operation, one)
            if draft is not None:
                yield draft.model_copy(update={"number": number, "bullet": bullet})
            after = draft.key if draft is not None else ""
            yield Want(number=number, bullet=bullet, operation=name, inputs=one, after=after)

    def _held(self) -> set[str]:
        """The systems that a contract holds on."""
        return {system for contract in self._known.contracts for system in contract.systems}

    def _names(self, text: str, reading: str = "") -> naming.Names:
        """The names in a text; for a reading of it, words that it does not have itself are names wherever they stand."""
        is_word = partial(self._matcher.says, reading) if reading else self._matcher.is_word
        return naming.read(text, self._known, is_word)

    def _meant(
        self,
        task: Task,
        bullet: str,
        operation: type[Operation[Any]],
        given: dict[str, Any],
        names: naming.Names,
    ) -> list[dict[str, Any]]:
        """The inputs for each thing that the words mean."""
        fields, each = operation.model_fields, operation.name in self._each
        if {"left", "right", "table"} <= fields.keys():
            return list(naming.of_pair(given, names, self._known))
        if "contract" in fields and fields["contract"].is_required():
            return naming.of_contracts(operation, given, names, self._known, each=each) or [given]
        if "contracts" in fields and "contracts" not in given and names.all:
            about = [one.name for one in self._known.contracts if naming.fits(one, names)]
            given = {**given, "contracts": list(names.contracts) or about}
        if "system" not in fields or "system" in given:
            return [given]
        if not fields["system"].is_required():
            return [{**given, "system": one} for one in names.systems[:1]] or [given]
        fitting = (
            naming.fitting_systems(names, self._known, self._of_kinds(operation, bullet))
            if each or names.tables
            else ()
        )
        if (
            operation.name in self._drafts.values() and not names.all
        ):  # where a contract holds, none is drafted over it
            fitting = tuple(one for one in fitting if one not in self._held()) or fitting
        if not fitting or (len(fitting) > 1 and not each):
            fitting = (self._system(task, bullet, operation, fitting),)
        return naming.of_systems(operation, given, names, self._known, fitting)

    def _drafted(
        self, operation: type[Operation[Any]], given: dict[str, Any], names: naming.Names
    ) -> list[tuple[dict[str, Any], Want]]:
        """Where no contract fits: the inputs for each that is drafted first, with what drafts it. Errors: `BadInput` `task.no-tables`."""
        drafter = self._drafts.get(operation.name)
        field = next((name for name in ("contract", "contracts") if name in operation.model_fields), "")
        if (
            not (drafter and field)
            or field in given
            or (names.contracts and not set(names.contracts) <= set(names.systems))
        ):
            return []
        if any(naming.fits(contract, names) for contract in self._known.contracts):
            return []
        drafts = naming.drafts(names, self._known, self._of_kinds(self._catalogue.get(drafter), ""))
        return [
            (
                {**given, field: draft.contract if field == "contract" else [draft.contract]},
                Want(number="", bullet="", operation=drafter, inputs=draft.inputs),
            )
            for draft in drafts
        ]

    def _of_kinds(self, operation: type[Operation[Any]], text: str) -> tuple[str, ...]:
        """The systems that an operation works on; of the kinds that a text speaks of, where it speaks of any."""
        spoken = inputs.kinds_named(text)
        kinds = [kind for kind in operation.goes_to if not spoken or kind in spoken] or operation.goes_to
        return tuple(dict.fromkeys(name for kind in kinds for name in self._systems_of_kind(kind)))

    def uncovered(self, operation: str, words: str) -> str:
        """Where there are contracts and nothing is named: which systems with tables none of them holds on, in a sentence."""
        if operation not in self._drafts or not self._known.contracts or self._names(words).all:
            return ""
        held = self._held()
        able = self._of_kinds(self._catalogue.get(self._drafts[operation]), words)
        own = (one for one in able if one not in held and one not in self._known.copies)
        left = [one for one in own if self._known.tables(one) or not self._known.answers(one)]
        return (
            f"No data contract holds on {', '.join(left)}: {self._drafts[operation]} drafts one."
            if left
            else ""
        )

    def _complete(self, operation: type[Operation[Any]], given: dict[str, Any]) -> None:
        """Nothing, where every required input is given. Errors: `BadInput` `task.input` else."""
        missing = inputs.missing(operation, given)
        if not missing:
            return
        what = f"{operation.name} needs {', '.join(missing)}, which the words do not give."
        how = f"Say {missing[0]}=…"
        if "contract" in missing:
            what = f"{operation.name} needs a data contract, and none is there of what is meant."
            how = "Draft one first: propose a data contract"
        elif missing == ("key",):
            what = f"{operation.name} needs the person's key, which is personal data and taken by reference only: what a task says is kept."
            how = "Say key=env:NAME (or file:PATH)"
        raise BadInput(
            "task.input", what, f"{how}, or: datareeve run {operation.name} {_flags(operation, given)}"
        )

    def _system(
        self, task: Task, bullet: str, operation: type[Operation[Any]], fitting: Sequence[str] = ()
    ) -> str:
        """The only system of the kinds it works on, or the one that the bullet, else the task, names. `fitting`: those that have what is named."""
        kinds = operation.goes_to or ("postgresql",)
        systems = tuple(dict.fromkeys(name for kind in kinds for name in self._systems_of_kind(kind)))
        if not systems:
            what = f"The estate has no {' or '.join(kinds)}."
            raise BadInput(
                "task.no-system", what, "Declare one: datareeve init postgresql://user@host/database"
            )
        texts = (bullet, f"{task.title}\n{task.description}")
        for text in texts:
            named = inputs.systems_named(text, self._systems())
            if (
                len(named) == 1
            ):  # also where it is of another kind: then that is said, and no other system is taken instead
                return named[0]
        for text in texts:
            spoken = inputs.kinds_named(text)
            of_kind = tuple(name for kind in kinds if kind in spoken for name in self._systems_of_kind(kind))
            if len(of_kind) == 1:
                return of_kind[0]
        if len(systems) > 1:
            raise BadInput(
                "task.which-system",
                f"The estate has {', '.join(fitting or systems)}.",
                "Name the one that is meant.",
            )
        return systems[0]

    def preview(self, want: Want, after: Sequence[Plan] = ()) -> Plan:
        """The plan of one operation, as it will be after some plans. An error of looking is a blocker of that bullet, not of the task."""
        try:
            operation = self._catalogue.make(want.operation, want.inputs)
            return self._preview(operation, after) if after else self._preview(operation)
        except DatareeveError as error:
            blocker = f"{want.operation}: {error.what} {error.remedy}".strip()
            return Plan(operation=want.operation, inputs=want.inputs, summary=error.what, blockers=(blocker,))

    def flags(self, operation: str, words: str) -> str:
        """The inputs that an operation needs, as they are given on the command line; what the words do not give as '…'."""
        kind = self._catalogue.get(operation)
        given = naming.stated(kind, words, self._names(words), self._known)
        return _flags(kind, given)

    def fields(self, operation: str) -> frozenset[str]:
        """The names of an operation's inputs."""
        return frozenset(self._catalogue.get(operation).model_fields)

    @property
    def orders(self) -> tuple[playbooks.Order, ...]:
        """What must come before what."""
        return playbooks.orders(self._playbooks)


class _Draft:
    """A task's plan while it is made."""

    def __init__(self, planner: Planner, task: Task, today: date) -> None:
        self._planner = planner
        self._task = task
        self._notes = list(_temporal_notes(task, today))
        self._questions: list[Question] = []
        self._blockers: list[str] = []
        self._wants: list[Want] = []
        self._served: dict[str, list[str]] = {}
        self._another: list[str] = []
        self._blocked = 0

    def take(self, number: str, bullet: str, matches: tuple[Match, ...]) -> None:
        """Take in one bullet."""
        wanted: list[Want] = []
        for match in matches:
            if match.decision == "planned":
                wanted += self._wanted(number, bullet, match)
            else:
                self._not_planned(number, bullet, match)
        self._served[number] = []
        for place, want in enumerate(wanted, 1):
            self._add(
                want.model_copy(update={"part_id": number if len(wanted) == 1 else f"{number}.{place}"})
            )

    def task_plan(self) -> TaskPlan:
        """The whole: previewed in the order of carrying out."""
        if self._another and not self._wants and len(self._another) == self._blocked:
            raise NotOurWork("task.not-our-work", " ".join(self._another), "Delegate it to that agent.")
        wants = _in_order(self._wants, self._planner.orders)
        parts = self._previewed(wants)
        blocked = {part.operation for part in parts if any(plan.blockers for plan in (part, *part.leaves()))}
        self._notes += _order_notes(self._wants, wants, self._planner.orders, blocked)
        if any(step for part in parts for step in part.all_steps()):
            parts = [self._renewed(want, part) for want, part in zip(wants, parts, strict=True)]
        if self._task.authority:
            self._notes.append(
                f"The task says “{self._task.authority}”; what may be done unattended is what estate.yaml says."
            )
        return TaskPlan(
            task=self._task,
            notes=tuple(self._notes),
            questions=tuple(self._questions),
            plan=self._composite(_blocked_once(_without_repeats(tuple(parts)))),
        )

    def _previewed(self, wants: list[Want]) -> list[Plan]:
        """The plan of each; of what rests on another part, or is done more than once, as it will be after those."""
        made: dict[str, Plan] = {}
        seen = {(order.first, order.then) for order in self._planner.orders if order.seen}
        for want in wants:
            first = made.get(want.after)
            before = [
                part
                for part in made.values()
                if part is first
                or part.operation == want.operation
                or (part.operation, want.operation) in seen
            ]
            changing = [
                part for part in before if any(step.call.system in AHEAD for step in part.all_steps())
            ]
            if first is not None and first.blockers:
                blocker = f"{WAITS}{first.part_id}, which is blocked."
                part = Plan(
                    operation=want.operation, inputs=want.inputs, summary=blocker, blockers=(blocker,)
                )
            else:
                part = self._planner.preview(want, changing)
            labelled = part.labelled(want.part_id, serves=want.bullet)
            made[want.key] = _needing(labelled, first.part_id) if first is not None else labelled
        return [made[want.key] for want in wants]

    def _renewed(self, want: Want, part: Plan) -> Plan:
        """What is up to date now (a document of the schema) will not be after the other parts: it is planned all the same."""
        if not part.nothing_to_do or RENEWED not in self._planner.fields(want.operation):
            return part
        again = want.model_copy(update={"inputs": {**want.inputs, RENEWED: True}})
        return self._planner.preview(again).labelled(want.part_id, serves=want.bullet)

    def _composite(self, parts: tuple[Plan, ...]) -> Plan:
        leaves = [leaf for part in parts for leaf in part.leaves()]
        steps = sum(len(leaf.steps) for leaf in leaves)
        quiet = bool(parts) and not steps and not self._blockers and not any(leaf.blockers for leaf in leaves)
        title = self._task.title or next(iter(self._task.work), "")
        return Plan(
            operation="task",
            inputs={"title": title, "ticket": self._task.ticket, "task": fingerprint(self._task)},
            summary=f"{title}: {_count(len(leaves), 'operation')}, {_count(steps, 'step')}.",
            nothing_to_do="Everything asked for is in place already, or only needed looking."
            if quiet
            else "",
            parts=parts,
            blockers=tuple(self._blockers),
            figures={"served": {number: parts for number, parts in self._served.items() if parts}},
        )

    def _wanted(self, number: str, bullet: str, match: Match) -> Iterator[Want]:
        for name in match.readings[0].operations:
            try:
                yield from self._planner.wants(self._task, number, bullet, match.text, name)
                if note := self._planner.uncovered(name, match.text):
                    self._notes += [note] if note not in self._notes else []
            except BadInput as error:
                if error.code in ("task.which-system", "task.input"):
                    self._ask(number, bullet, f"{error.what} {error.remedy}", match.readings[:1])
                else:
                    self._block(number, bullet, f"{error.what} {error.remedy}")

    def _add(self, want: Want) -> None:
        """Add an operation, once: where two bullets want the same, the first carries it."""
        for other in self._wants:
            if other.key == want.key:
                self._served[want.number].append(other.part_id)
                if other.number != want.number:
                    self._notes.append(
                        f"“{want.bullet}” is also answered by part {other.part_id} ({want.operation})."
                    )
                return
        self._wants.append(want)
        self._served[want.number].append(want.part_id)

    def _not_planned(self, number: str, bullet: str, match: Match) -> None:
        if match.decision in ("question", "unknown"):
            offered = [r for r in match.readings if r.confidence > 0]
            best = "; ".join(f"{r.title.rstrip('.')} ({r.key.removeprefix('playbook:')})" for r in offered)
            text = (
                f"What is meant? {best}."
                if match.decision == "question"
                else "No operation is known for this."
            )
            self._ask(number, bullet, text, tuple(offered))
        elif match.decision == "another's":
            reason = scope.why_another(scope.agent_of(match.readings[0].key))
            self._another.append(f"“{bullet}”: {reason}")
            self._block(number, bullet, reason)
        elif match.decision == "refused":
            self._block(number, bullet, self._refusal(match))
        else:
            self._block(number, bullet, scope.why_later(match.readings[0].key))

    def _refusal(self, match: Match) -> str:
        """Why nothing is planned, and what a person can do instead."""
        if not match.readings:
            return match.reason
        flags = self._planner.flags(match.readings[0].operations[0], match.text)
        why = match.reason.partition(". ")[0]
        return f"{why}. With a person's approval of the very plan: datareeve run {' '.join(filter(None, (match.readings[0].operations[0], flags)))} --plan"

    def _ask(self, number: str, bullet: str, text: str, readings: tuple[Reading, ...]) -> None:
        self._questions.append(Question(number=number, bullet=bullet, text=text, readings=readings))
        self._block(number, bullet, f"Not planned: {text}")

    def _block(self, number: str, bullet: str, reason: str) -> None:
        self._blocked += 1
        self._blockers.append(f"{number}. “{bullet}”: {reason}")


def _numbered(task: Task) -> Iterator[tuple[str, str]]:
    """The work with its numbers: bullets keep theirs, headings among them are passed over."""
    if not task.bullets:
        whole = task.description or task.title
        works = (
            (whole,) if scope.guard(whole) else task.work
        )  # an order to the program taints the sentences around it
        yield from ((str(number), text) for number, text in enumerate(works, 1))
    for number, bullet in enumerate(task.bullets, 1):
        if not bullet.endswith(":"):
            yield str(number), bullet


def _temporal_notes(task: Task, clock_date: date) -> Iterator[str]:
    today = task.today or clock_date
    if task.today and task.today != clock_date:
        days = abs((task.today - clock_date).days)
        yield (
            f"The task says today is {task.today}; the clock says {clock_date} ({_count(days, 'day')} apart). "
            f"Phrases, schedules and retention are read from the task's date, {task.today}; "
            "runs and evidence carry the clock's."
        )
    elif task.temporal_context and not task.today:
        yield f"The TEMPORAL CONTEXT names no date; the clock's, {clock_date}, is used."
    yield from (f"{mention}." for mention in task.mentions(today))


def _in_order(wants: list[Want], orders: tuple[playbooks.Order, ...]) -> list[Want]:
    """As the bullets stand, except where something later must come first. A contradiction among the orders is passed over."""
    waiting, ordered = list(wants), []
    while waiting:
        pending = {want.operation for want in waiting}
        held = {order.then for order in orders if order.first in pending and order.first != order.then}
        keys = {want.key for want in waiting}
        free = [want for want in waiting if want.after not in keys]
        ready = next((want for want in free if want.operation not in held), free[0])
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def _order_notes(
    asked: list[Want], ordered: list[Want], orders: tuple[playbooks.Order, ...], blocked: set[str]
) -> Iterator[str]:
    """Why parts are carried out in another order than the bullets', and what the order cannot give because its first part is blocked."""
    place = {want.operation: number for number, want in enumerate(asked)}
    moved: dict[str, list[str]] = {}
    for order in orders:
        if order.first in place and order.then in place and place[order.first] > place[order.then]:
            moved.setdefault(f"{order.first}|{order.because}", []).append(order.then)
    for key, then in moved.items():
        first, because = key.split("|")
        yield f"{first} is carried out before {', '.join(then)}: {because}."
    for first, then in _unprepared(place, orders, blocked):
        yield f"{first} is blocked: {', '.join(then)} would be carried out without it. Mend what blocks it first, or approve knowing that."
    if moved:
        yield f"Order of carrying out: {', '.join(want.part_id for want in ordered)}."


def _unprepared(
    place: dict[str, int], orders: tuple[playbooks.Order, ...], blocked: set[str]
) -> Iterator[tuple[str, list[str]]]:
    """Each blocked operation of the task with the others that should have come after it."""
    for first in sorted(blocked & place.keys()):
        guarded = {order.then for order in orders if order.first == first and order.guards}
        then = guarded & place.keys() - blocked
        if then:
            yield first, sorted(then, key=lambda operation: place[operation])


def _without_repeats(parts: tuple[Plan, ...]) -> tuple[Plan, ...]:
    """A leaf that an earlier part carries out word for word is left to that part."""
    done: dict[str, str] = {}

    def once(plan: Plan) -> Plan:
        if plan.parts:
            return plan.model_copy(update={"parts": tuple(once(part) for part in plan.parts)})
        calls = [
            step.call.model_dump(mode="json") for step in plan.steps
        ]  # one operation may give several leaves
        key = canonical([plan.operation, plan.inputs, calls])
        first = done.setdefault(key, plan.part_id)
        if first == plan.part_id or not plan.steps:
            return plan
        reason = f"Part {first} does this."
        gone = {"steps": (), "requirements": (), "checks": (), "findings": (), "nothing_to_do": reason}
        return plan.model_copy(update={**gone, "needs": (*plan.needs, first)})

    return tuple(once(part) for part in parts)


def _blocked_once(parts: tuple[Plan, ...]) -> tuple[Plan, ...]:
    """What stands in the way of several parts is said once, by the first, with those that wait for it; the others name that part."""
    first: dict[str, Plan] = {}
    waiting: dict[str, list[str]] = {}
    for plan in (node for part in parts for node in nodes(part)):
        for blocker in plan.blockers:
            if first.setdefault(blocker, plan) is not plan:
                waiting.setdefault(blocker, []).append(f"{plan.part_id} {plan.operation}")

    def told(plan: Plan, blocker: str) -> str:
        if first[blocker].part_id == plan.part_id:
            others = waiting.get(blocker, ())
            return f"{blocker} ({_waits(others)})" if others else blocker
        return f"{WAITS}{first[blocker].part_id}, which is blocked."

    def once(plan: Plan) -> Plan:
        blockers = tuple(dict.fromkeys(told(plan, blocker) for blocker in plan.blockers))
        summary = told(plan, plan.summary) if plan.summary in plan.blockers else plan.summary
        inner = tuple(once(part) for part in plan.parts)
        return plan.model_copy(update={"parts": inner, "blockers": blockers, "summary": summary})

    return tuple(once(part) for part in parts) if waiting else parts


def _waits(others: Sequence[str]) -> str:
    return f"{'Part' if len(others) == 1 else 'Parts'} {', '.join(others)} wait{'s' if len(others) == 1 else ''} for this."


def _flags(operation: type[Operation[Any]], given: dict[str, Any]) -> str:
    """What an operation needs, as it is given on the command line; '…' for what is not known."""
    needed = inputs.missing(operation, {})
    return " ".join(
        f"--{name.replace('_', '-')} {given.get(name, 'env:NAME' if name == 'key' else '…')}"
        for name in needed
    )


def _needing(plan: Plan, part_id: str) -> Plan:
    """The plan, of which every leaf waits for another part."""
    inner = tuple(_needing(part, part_id) for part in plan.parts)
    return plan.model_copy(update={"parts": inner, "needs": (*plan.needs, part_id)})


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
