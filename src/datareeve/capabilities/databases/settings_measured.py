"""Proposed settings, tried on a copy with the recorded workload: all together, then each left out, then what needs a restart.

The one idea: a planner setting acts through plans. A family whose plan stays the same under all variants and that spills nothing cannot
be changed by it, so the planner is asked first, which costs a millisecond, and only the families that may differ are executed, old and new
in turn. What a setting is worth is what those families lose when it alone is left out (the others in place).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases import workload as workloads
from datareeve.capabilities.databases.settings import megabytes
from datareeve.core.errors import DatareeveError
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.databases.settings import Setting
    from datareeve.core.operation import Copy

ROUNDS, CONFIRMING_ROUNDS = 3, 5
WORSE, BETTER = 1.10, 0.90  # of a family's cost; between them nothing is said
NOISE_MS = 0.02  # a call; less cannot be told from noise, whatever share it is
MOST_FAMILIES = 100  # those that take most time
WORTH_PERCENT = 1.0  # of the workload: a family with less of it decides nothing
RESTARTED = "shared_buffers"  # the one setting of a restart that changes how queries run
# Settings that a session may choose, tried by SET: the planner's, and what the executor may take.
BY_SESSION = (
    "work_mem", "hash_mem_multiplier", "random_page_cost", "effective_cache_size", "effective_io_concurrency", "jit", "jit_above_cost",
    "max_parallel_workers_per_gather", "default_statistics_target",
)  # fmt: skip
MEMORY = {"work_mem", "hash_mem_multiplier"}
READS_AHEAD = "effective_io_concurrency"
BY_WALL = {
    *MEMORY,
    "max_parallel_workers_per_gather",
    READS_AHEAD,
}  # they shorten the wait, for disks or with more CPU
WHY_NOT = {
    "Checkpoints come of hours of real writes, which a copy does not have.": (
        "max_wal_size", "min_wal_size", "checkpoint_completion_target", "checkpoint_timeout",
    ),
    "A copy writes without fsync and full pages, so its WAL is not the original's.": ("wal_compression", "full_page_writes", "fsync"),
    "Autovacuum acts over days of changes, and is off on a copy.": ("autovacuum_vacuum_scale_factor", "autovacuum_analyze_scale_factor"),
    "Logging and timing show what is slow; they make nothing faster.": (
        "log_min_duration_statement", "log_parameter_max_length", "log_lock_waits", "log_checkpoints", "log_autovacuum_min_duration",
        "log_temp_files", "track_io_timing",
    ),
    "It bounds or protects sessions; no query runs otherwise for it.": ("idle_in_transaction_session_timeout", "password_encryption"),
    "It acts while indexes are built and tables vacuumed, not on queries.": ("maintenance_work_mem", "max_parallel_maintenance_workers"),
    "It is the ceiling for many sessions at once; one after another on a copy never reach it.": ("max_worker_processes", "max_parallel_workers"),
}  # fmt: skip
TRIED = (*BY_SESSION, RESTARTED)
NOT_MEASURED = {name: why for why, names in WHY_NOT.items() for name in names}

Verdict = Literal["better", "worse", "no difference", "not measured"]


class Proposal(Value):
    """A setting's former and advised value, as SET takes them."""

    name: str
    former: str
    advised: str


class Room(Value):
    """What memory there is for sorts and hashes. `sessions` may run one at a time each."""

    memory_bytes: int
    sessions: int

    @property
    def bytes(self) -> int:
        """A quarter of the memory: shared buffers take another, the system's cache the rest."""
        return self.memory_bytes // 4


class Need(Value):
    """A family that spills to disk. `needs_bytes`: the smallest work_mem that avoids it, None where that is beyond all bounds."""

    fingerprint: str
    sql: str
    temp_bytes: int
    needs_bytes: int | None
    operations: int

    def takes(self, room: Room) -> int:
        """Bytes, when every session runs it at once."""
        return (self.needs_bytes or 0) * self.operations * room.sessions

    def fits(self, room: Room) -> bool:
        """Whether all sessions together stay within the room."""
        return self.needs_bytes is not None and self.takes(room) <= room.bytes

    def arithmetic(self, room: Room) -> str:
        """The multiplication, in words."""
        if self.needs_bytes is None:
            return f"{megabytes(self.temp_bytes)} go through temporary files, and no work_mem within {megabytes(room.bytes)} avoids it"
        verdict = "fits" if self.fits(room) else "does not fit"
        return (
            f"{megabytes(self.temp_bytes)} go through temporary files; work_mem {megabytes(self.needs_bytes)} avoids it:"
            f" x {self.operations} sorts or hashes x {room.sessions} sessions = {megabytes(self.takes(room))}"
            f" of {megabytes(room.bytes)} (a quarter of the memory): {verdict}"
        )


class FamilyEffect(Value):
    """One family on the copy, before and after: medians for one call. cpu_ms is None where it could not be known."""

    fingerprint: str
    sql: str
    calls: int
    is_write: bool
    executed: bool  # False: its plan is the same and nothing spills, so it was run once, for the total
    ms_before: float
    ms_after: float
    cpu_ms_before: float | None = None
    cpu_ms_after: float | None = None
    buffers_before: float = 0.0
    buffers_after: float = 0.0
    temp_bytes_before: float = 0.0
    temp_bytes_after: float = 0.0


class Change(Value):
    """What one setting did to one family: its cost with it as a part of that without it."""

    fingerprint: str
    sql: str
    ratio: float
    clear: Literal["better", "worse", ""] = ""


class SettingEffect(Value):
    """What one setting is worth on its own. `percent`: of the whole workload's cost, negative is a gain."""

    name: str
    former: str
    advised: str
    verdict: Verdict
    why: str
    percent: float | None = None
    families: tuple[Change, ...] = ()
    restarted: bool = False


class SettingsTrial(Value):
    """What the copy taught about settings."""

    families: tuple[FamilyEffect, ...] = ()
    settings: tuple[SettingEffect, ...] = ()
    needs: tuple[Need, ...] = ()
    room: Room | None = None
    work_mem_bytes: int | None = None  # measured, where it is more than the rule's
    work_mem_after: int = 0  # bytes that a sort may have, as it is proposed
    left_out: dict[str, int] = Field(default_factory=dict)  # families that were not run, by reason
    differs: str = ""
    unmeasured: str = ""  # why nothing was run at all

    def effect(self, name: str) -> SettingEffect | None:
        """What was found out about a setting."""
        return next((one for one in self.settings if one.name == name), None)

    @property
    def worse(self) -> dict[str, SettingEffect]:
        """The settings that are left out, by name."""
        return {one.name: one for one in self.settings if one.verdict == "worse"}

    def total(self, figure: str, when: Literal["before", "after"]) -> float | None:
        """A figure of the whole workload: each family's times its calls."""
        values = [(getattr(f, f"{figure}_{when}"), f.calls) for f in self.families]
        return None if any(v is None for v, _ in values) else round(sum(v * calls for v, calls in values), 1)

    def sentence(self) -> str:
        """Before and after, in a sentence; empty where nothing was run."""
        before, after = self.total("ms", "before"), self.total("ms", "after")
        if not self.families or not before or after is None:
            return self.unmeasured
        executed = sum(family.executed for family in self.families)
        cpu = (self.total("cpu_ms", "before"), self.total("cpu_ms", "after"))
        waited = f"{after:,.0f} ms instead of {before:,.0f} ms"
        took = (
            f"{cpu[1]:,.0f} ms of CPU instead of {cpu[0]:,.0f} ms ({waited} by the clock)"
            if cpu[0] and cpu[1]
            else waited
        )
        return (
            f"On a copy the workload takes {took};"
            f" {executed} of {len(self.families)} families may run otherwise and were run {ROUNDS} times in turn."
        )


# -- judging ----------------------------------------------------------------------------------------------------------------------


def clearly(with_it: Sequence[float], without: Sequence[float]) -> Literal["better", "worse", ""]:
    """Whether a cost has clearly changed: by a tenth at least, above noise, and with no round of the one among those of the other."""
    if not with_it or not without:
        return ""
    new, old = _middle(with_it), _middle(without)
    if abs(new - old) < NOISE_MS or old <= 0:
        return ""
    if new / old >= WORSE and min(with_it) > max(without):
        return "worse"
    return "better" if new / old <= BETTER and max(with_it) < min(without) else ""


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def fitting_work_mem(needs: Sequence[Need], room: Room) -> int | None:
    """The largest work_mem that a family needs and that all sessions may take at once; None where there is none."""
    return max((need.needs_bytes for need in needs if need.needs_bytes and need.fits(room)), default=None)


class Run(NamedTuple):
    """One family under one variant, as the copy measured it."""

    ms: float
    cpu_ms: float | None
    rounds: tuple[float, ...]
    rounds_cpu: tuple[float, ...] | None
    buffers: float
    temp_bytes: float

    @classmethod
    def of(cls, row: dict[str, Any]) -> Run:
        """From a row of the `settings_trial` read."""
        cpu = tuple(row["rounds_cpu"]) if row["rounds_cpu"] is not None else None
        return cls(row["ms"], row["cpu_ms"], tuple(row["rounds"]), cpu, row["buffers"], row["temp_bytes"])

    def cost(self, *, wall: bool) -> tuple[float, ...]:
        """What it is judged by: CPU where it is known, or the wait."""
        return self.rounds if wall or self.rounds_cpu is None else self.rounds_cpu


# -- trying -----------------------------------------------------------------------------------------------------------------------


@dataclass
class Trying:
    """One rehearsal of settings on a copy."""

    copy: Copy
    proposals: tuple[Proposal, ...]
    work_mem: Proposal | None  # as the rule has it, whether it is a change or not
    may_raise: bool  # whether work_mem may be set here: not where the owner chose it
    room: Room | None
    restart: Proposal | None
    machine_bytes: int
    deadline: float
    workload: workloads.Workload = field(init=False)
    baseline: dict[str, Run] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    measured: dict[str, tuple[Run, Run]] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    found: dict[str, SettingEffect] = field(default_factory=dict)

    def run(self) -> SettingsTrial:
        """Everything, in the order that each step needs the ones before."""
        self.workload = workloads.read(self.copy)
        if self.workload.source.why_empty or _kind(self.copy) == "twin":
            return self._unmeasured()
        self._drop_unknown()
        self._run_baseline()
        if not self.baseline:
            return self._unmeasured()
        raised = self._need_memory()
        self._try_session_settings()
        self._try_restart()
        return SettingsTrial(
            families=self._families(),
            settings=tuple(self._effects()),
            needs=self.needs,
            room=self.room,
            work_mem_bytes=raised,
            work_mem_after=raised or (self._bytes(self.work_mem.advised) if self.work_mem else 0),
            left_out=self.left_out,
            differs=str(getattr(self.copy, "differs", "")),
        )

    def _unmeasured(self) -> SettingsTrial:
        source = self.workload.source
        why = (
            source.sentence() if source.why_empty else "No statement of the workload could be run on a copy."
        )
        return SettingsTrial(unmeasured=f"The settings were not measured: {why}")

    def _drop_unknown(self) -> None:
        """Leave out what the copy, maybe of another version or without a compiler, does not have."""
        names = {"names": [p.name for p in self.proposals]}
        known = set(
            self.copy.read("query", sql=sql.load("settings_of_session"), parameters=names, shape="column")
        )
        for proposal in self.proposals:
            if proposal.name in BY_SESSION and proposal.name not in known:
                self._tell(proposal, "not measured", "The copy's server does not have it, or cannot compile.")
        self.proposals = tuple(p for p in self.proposals if p.name not in self.found)

    # -- what is there --------------------------------------------------------------------------------------------------------

    def _run_baseline(self) -> None:
        longest = sorted(self.workload.families, key=lambda f: -(f.total_ms or 0.0))
        names = [family.fingerprint for family in longest[:MOST_FAMILIES]]
        found = self._trial([self._former()], names, rounds=1, share=0.4)
        self.baseline = {name: runs[0] for name, runs in found.items()}

    def _need_memory(self) -> int | None:
        """Look for the memory that spilling families need; a work_mem that is proposed for it takes the rule's place."""
        spilling = [name for name, run in self.baseline.items() if run.temp_bytes]
        work_mem = self.work_mem
        if not spilling or work_mem is None:
            return None
        room = self.room
        most = max(room.bytes // room.sessions, 2**22) if room else 2**28
        rows = self.copy.read(
            "memory_needs",
            fingerprints=spilling,
            settings=self._former() | {"work_mem": work_mem.former},
            most_bytes=most,
            budget_seconds=self._left(0.3),
        )
        self.needs = tuple(Need(**row, sql=self.workload.family(row["fingerprint"]).short) for row in rows)
        needed = fitting_work_mem(self.needs, room) if room else None
        ruled = self._bytes(work_mem.advised)
        if needed is None or needed <= ruled or not self.may_raise:
            return None
        others = tuple(p for p in self.proposals if p.name != "work_mem")
        self.proposals = (*others, work_mem.model_copy(update={"advised": f"{needed // 1024}kB"}))
        return needed

    def _bytes(self, text: str) -> int:
        asked = {"sql": "SELECT pg_size_bytes(%(text)s)", "parameters": {"text": text}, "shape": "scalar"}
        return int(self.copy.read("query", **asked))

    # -- settings of a session ------------------------------------------------------------------------------------------------

    @property
    def _by_session(self) -> tuple[Proposal, ...]:
        return tuple(p for p in self.proposals if p.name in BY_SESSION)

    def _former(self) -> dict[str, str]:
        return {p.name: p.former for p in self._by_session}

    def _advised(self, without: Sequence[str] = ()) -> dict[str, str]:
        return {p.name: p.former if p.name in without else p.advised for p in self._by_session}

    def _try_session_settings(self) -> None:
        proposals = self._by_session
        if not proposals:
            return
        variants = [self._former(), self._advised(), *(self._advised([p.name]) for p in proposals)]
        plans = self.copy.read("settings_plans", variants=variants, fingerprints=[*self.baseline])
        differ = {p.name: self._touched(p, plans, place) for place, p in enumerate(proposals, 2)}
        together = {name for name, numbers in plans.items() if numbers[0] != numbers[1]}
        concerned = sorted(together.union(*differ.values()) & self.baseline.keys())
        self.measured = self._pair(self._former(), self._advised(), concerned)
        for proposal in proposals:
            self._weigh(proposal, sorted(differ[proposal.name] & self.baseline.keys()), len(plans))
        worse = [name for name, effect in self.found.items() if effect.verdict == "worse"]
        if worse:  # what is really proposed is measured again, without them
            self.measured = self._pair(self._former(), self._advised(worse), concerned) or self.measured

    def _touched(self, proposal: Proposal, plans: dict[str, list[int]], place: int) -> set[str]:
        """The families that a setting can act on: by another plan, or by what its execution takes."""
        changed = {name for name, numbers in plans.items() if numbers[1] != numbers[place]}
        if proposal.name in MEMORY:
            changed |= {need.fingerprint for need in self.needs}
            changed |= {name for name, run in self.baseline.items() if run.temp_bytes}
        return changed

    def _weigh(self, proposal: Proposal, names: list[str], planned: int) -> None:
        """What the families that a setting touches lose without it; a clear loss with it is confirmed by more rounds."""
        if not names:
            self._tell(
                proposal,
                "no difference",
                f"It changes the plan of none of {planned} families of the workload.",
            )
            return
        alone = len(self._by_session) == 1
        wall = proposal.name in BY_WALL
        pairs = (
            {name: self.measured[name] for name in names if name in self.measured}
            if alone
            else self._pair(self._advised([proposal.name]), self._advised(), names)
        )
        doubtful = [
            n
            for n, (old, new) in pairs.items()
            if clearly(new.cost(wall=wall), old.cost(wall=wall)) == "worse"
        ]
        if doubtful:
            pairs |= self._pair(self._advised([proposal.name]), self._advised(), doubtful, CONFIRMING_ROUNDS)
        if not pairs:
            self._tell(proposal, "not measured", "The time for measuring was over.")
            return
        self._judge(proposal, pairs, wall=wall)

    def _judge(
        self, proposal: Proposal, pairs: dict[str, tuple[Run, Run]], *, wall: bool, restarted: bool = False
    ) -> None:
        changes, lost = [], 0.0
        for name, (old, new) in pairs.items():
            before, after = (_middle(run.cost(wall=wall)) for run in (old, new))
            clear = clearly(new.cost(wall=wall), old.cost(wall=wall))
            family = self.workload.family(name)
            lost += (after - before) * family.calls if clear else 0.0
            ratio = round(after / before, 3) if before else 1.0
            changes.append(Change(fingerprint=name, sql=family.short, ratio=ratio, clear=clear))
        percent = round(100 * lost / max(self._whole(wall=wall), 1e-9), 1)
        worse = [
            c
            for c in changes
            if c.clear == "worse" and (percent > 0 or self._weight(c.fingerprint, wall=wall) >= WORTH_PERCENT)
        ]
        better = [c for c in changes if c.clear == "better"]
        verdict: Verdict = "worse" if worse else "better" if better else "no difference"
        told = worse or better
        largest = max(told, key=lambda c: abs(c.ratio - 1), default=None)
        why = f"Of {len(changes)} families that it touches none is clearly faster or slower."
        if largest:
            of = f", {len(told)} families in all" if len(told) > 1 else ""
            why = f"{_times(largest.ratio)} with it on a copy{of}: {largest.sql}"
        effect = self._tell(
            proposal, verdict, why, percent=percent, families=tuple(changes), restarted=restarted
        )
        self.found[proposal.name] = effect

    def _tell(self, proposal: Proposal, verdict: Verdict, why: str, **more: Any) -> SettingEffect:
        effect = SettingEffect(**proposal.model_dump(), verdict=verdict, why=why, **more)
        self.found[proposal.name] = effect
        return effect

    def _whole(self, *, wall: bool) -> float:
        return sum(
            _middle(run.cost(wall=wall)) * self.workload.family(name).calls
            for name, run in self.baseline.items()
        )

    def _weight(self, name: str, *, wall: bool) -> float:
        """A family's part of the workload's cost, in percent."""
        own = _middle(self.baseline[name].cost(wall=wall)) * self.workload.family(name).calls
        return 100 * own / max(self._whole(wall=wall), 1e-9)

    # -- a setting that needs a restart ---------------------------------------------------------------------------------------

    def _try_restart(self) -> None:
        proposal = self.restart
        if proposal is None:
            return
        former, advised = (self._bytes(text) for text in (proposal.former, proposal.advised))
        size = int(self.copy.read("query", sql="SELECT pg_database_size(current_database())", shape="scalar"))
        if size <= min(former, advised):
            self._tell(
                proposal,
                "not measured",
                f"The database's {megabytes(size)} fit in both, so a copy shows no difference.",
            )
        elif advised > self.machine_bytes // 2:
            self._tell(
                proposal,
                "not measured",
                f"{megabytes(advised)} are more than half of the memory of the machine with the copy.",
            )
        elif self._left(1.0) < 1:
            self._tell(proposal, "not measured", "The time for measuring was over.")
        else:
            self._measure_restart(proposal)

    def _measure_restart(self, proposal: Proposal) -> None:
        rounds: list[tuple[dict[str, Run], dict[str, Run]]] = []
        before = self.copy.read("setting_on_file", name=proposal.name)
        values = self._advised([n for n, e in self.found.items() if e.verdict == "worse"])
        try:
            for _ in range(ROUNDS):
                one, other = (
                    self._restarted(proposal.name, value, values)
                    for value in (proposal.former, proposal.advised)
                )
                rounds.append((one, other))
        except DatareeveError as error:
            self._tell(proposal, "not measured", f"The copy's server did not take it ({error.code}).")
        finally:
            self.copy.perform("revive", settings={proposal.name: before})
            self.copy.perform("alter_system", name=proposal.name, value=before)
            self.copy.perform("restart")
        if len(rounds) == ROUNDS:
            names = set.intersection(*(set(part) for pair in rounds for part in pair))
            pairs = {
                n: (_joined([r[0][n] for r in rounds]), _joined([r[1][n] for r in rounds]))
                for n in sorted(names)
            }
            self._judge(proposal, pairs, wall=False, restarted=True)

    def _restarted(self, name: str, value: str, values: dict[str, str]) -> dict[str, Run]:
        self.copy.perform("alter_system", name=name, value=value)
        self.copy.perform("restart")
        share = 1 / (2 * ROUNDS)
        return {
            name: runs[0]
            for name, runs in self._trial([values], [*self.baseline], rounds=1, share=share).items()
        }

    # -- asking the copy ------------------------------------------------------------------------------------------------------

    def _pair(
        self, old: dict[str, str], new: dict[str, str], names: list[str], rounds: int = ROUNDS
    ) -> dict[str, tuple[Run, Run]]:
        if not names:
            return {}
        found = self._trial([old, new], names, rounds=rounds, share=0.5)
        return {name: (runs[0], runs[1]) for name, runs in found.items()}

    def _trial(
        self, variants: list[dict[str, str]], names: list[str] | None, *, rounds: int, share: float
    ) -> dict[str, list[Run]]:
        left = self._left(share)
        answer = self.copy.read(
            "settings_trial", variants=variants, fingerprints=names, rounds=rounds, budget_seconds=left
        )
        if not self.baseline:  # of the first run, which is of everything
            reasons = list(answer["left_out"].values())
            self.left_out = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
        return {name: [Run.of(row) for row in rows] for name, rows in answer["families"].items()}

    def _left(self, share: float) -> float:
        return max((self.deadline - time.monotonic()) * share, 0.0)

    # -- telling --------------------------------------------------------------------------------------------------------------

    def _effects(self) -> list[SettingEffect]:
        others = [p for p in self.proposals if p.name not in self.found]
        return [
            *self.found.values(),
            *(
                SettingEffect(
                    **p.model_dump(),
                    verdict="not measured",
                    why=NOT_MEASURED.get(p.name, "It was not tried."),
                )
                for p in others
            ),
        ]

    def _families(self) -> tuple[FamilyEffect, ...]:
        effects = []
        for name, run in self.baseline.items():
            old, new = self.measured.get(name, (run, run))
            family = self.workload.family(name)
            figures = {
                f"{key}_{when}": getattr(one, key)
                for key in ("ms", "cpu_ms", "buffers", "temp_bytes")
                for when, one in (("before", old), ("after", new))
            }
            about = {
                "fingerprint": name,
                "sql": family.short,
                "calls": family.calls,
                "is_write": family.is_write,
            }
            effects.append(FamilyEffect(**about, executed=name in self.measured, **figures))
        return tuple(sorted(effects, key=lambda f: (-abs(f.ms_after - f.ms_before) * f.calls, f.fingerprint)))


def unchanged(setting: Setting) -> Proposal:
    """A setting that is left as it is, as the trial's `work_mem`."""
    text = setting.text(setting.value)
    return Proposal(name=setting.name, former=text, advised=text)


def _kind(copy: Copy) -> str:
    """What the copy holds: 'clone', 'sample' or 'twin' (no rows)."""
    try:
        return str(copy.read("copy_kind"))
    except DatareeveError:
        return "clone"


def _joined(runs: Sequence[Run]) -> Run:
    """Several rounds, each measured after a restart of its own, as one run."""
    cpu = tuple(value for run in runs for value in run.rounds_cpu or ())
    rounds = tuple(value for run in runs for value in run.rounds)
    complete = cpu if len(cpu) == len(rounds) else None
    last = runs[-1]
    return Run(
        _middle(rounds),
        _middle(complete) if complete else None,
        rounds,
        complete,
        last.buffers,
        last.temp_bytes,
    )


def _times(ratio: float) -> str:
    """How much more or less: '2.4 times slower', '35 % less'."""
    if ratio >= 2:  # noqa: PLR2004 - from twice on a factor is easier to read
        return f"{ratio:.1f} times the time"
    return f"{abs(ratio - 1) * 100:.0f} % {'more' if ratio > 1 else 'less'} time"


def deadline(budget_seconds: float) -> float:
    """The moment at which measuring ends."""
    return time.monotonic() + budget_seconds
