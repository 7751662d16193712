"""`databases.tune-settings`: the server's settings, sized to its machine and to what it was seen doing.

The advice is in `rules/settings/`, one rule a file; here it is weighed against what is stored and what the owner chose, and made steps.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.databases import settings as s
from datareeve.capabilities.databases import settings_measured as m
from datareeve.capabilities.databases import settings_told as told
from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.rules.settings import RULES
from datareeve.core.operation import (
    Call,
    Claim,
    Copy,
    Effect,
    Finding,
    Operation,
    Plan,
    Prediction,
    Severity,
    Step,
    Systems,
)
from datareeve.core.value import Value

NAMES = sorted(rule.setting for rule in RULES)
ALSO_READ = ["checkpoint_timeout"]  # what rules rest on, without advising it

Activation = Literal["reload", "restart"]


class TuneSettingsFacts(Value):
    """What tune-settings looks at."""

    version_num: int
    local_control: bool
    data_directory: str | None
    host: s.HostFacts | None
    activity: s.Activity
    settings: dict[str, s.Setting]
    files: dict[str, s.OnFile]
    rights: s.Rights
    managed: str = ""  # the cloud service that refuses ALTER SYSTEM
    machine_bytes: int = 0  # memory of the machine that a copy is tried on
    remembered: dict[str, s.Remembered] = Field(
        default_factory=dict
    )  # what an earlier copy showed to be worse
    trial: m.SettingsTrial | None = None  # what a copy taught


class Judgement(Value):
    """What becomes of one setting's advice."""

    setting: s.Setting
    advice: s.Advice
    decision: s.Decision
    on_file: s.Amount  # what the server would come up with
    former: str | None  # as ALTER SYSTEM has stored it
    source: str
    severity: Severity

    @property
    def name(self) -> str:
        """The setting's name."""
        return self.setting.name

    @property
    def advised(self) -> str:
        """The advised value as ALTER SYSTEM is given it: '4GB'."""
        return self.setting.text(self.advice.value)

    @property
    def outcome(self) -> s.Amount:
        """What the setting will be on file."""
        return self.advice.value if self.decision == "set" else self.on_file

    @property
    def needs_restart(self) -> bool:
        """Whether the setting takes effect only at the server's start."""
        return self.setting.context == "postmaster"

    @property
    def waits(self) -> bool:
        """Whether the advised value is on file and only a restart brings it into effect."""
        return self.decision == "as advised" and self.needs_restart and self.on_file != self.setting.value

    def __str__(self) -> str:
        return f"{self.name} {self.setting.text(self.on_file)} -> {self.advised}"


class TuneSettings(Operation[TuneSettingsFacts]):
    """Tune the server's settings to its memory, cores, storage and workload.

    Memory, planner, checkpoint and WAL, parallel, autovacuum, JIT, logging and timeout settings, each with its reason and its source.
    Rehearsed on a copy, the recorded workload is run before and after, and each setting's own effect is told; one that makes a family of
    queries clearly slower is left out. What the owner chose is kept and reported. Settings that need only a reload come first; those that
    need a restart follow where Datareeve may restart the server, else they are stored and wait for the owner. On a managed cloud server it
    says what to put into the parameter group. Undo gives back the former values, in effect.
    """

    name: ClassVar[str] = "databases.tune-settings"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "configure performance settings",
        "tune postgresql.conf for production",
        "set shared_buffers, work_mem and max_wal_size for this machine",
        "optimize memory and checkpoint settings of the server",
        "turn on logging of slow statements, lock waits and checkpoints",
        "the server runs with default settings",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    workload: s.Workload = Field(
        "oltp", description="oltp: many short transactions; analytics: few large queries; mixed: both"
    )
    memory_share: float = Field(
        1.0, gt=0, le=1, description="the part of its host's memory that this server may count on"
    )
    restart: bool = Field(
        default=True, description="restart the server, where Datareeve may, for what needs it"
    )
    override: bool = Field(default=False, description="replace values that the owner chose, too")
    only: tuple[str, ...] = Field((), description="settings to look at; empty: all that there is advice on")
    budget_seconds: float = Field(60.0, gt=0, description="the time that measuring on a copy may take")

    # -- looking -----------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> TuneSettingsFacts:
        """Settings, configuration files, rights, host and activity."""
        database = systems[self.system]
        server = database.read("server")
        names = {"names": [*NAMES, *ALSO_READ]}
        rights = s.rights_of(systems, self.system, server, NAMES)
        settings = database.read("query", sql=sql.load("settings_now"), parameters=names)
        files = (
            database.read("query", sql=sql.load("settings_stored"), parameters=names)
            if rights.may_look
            else []
        )
        return TuneSettingsFacts(
            version_num=server["version_num"],
            local_control=server["local_control"],
            data_directory=server["data_directory"],
            host=s.host_of(systems, self.system, server),
            activity=s.activity_of(systems, self.system, server["version_num"]),
            settings={row["name"]: s.Setting(**row) for row in settings},
            files={row["name"]: s.OnFile(on_file=row["on_file"], stored=row["stored"]) for row in files},
            rights=rights,
            managed=s.managed_by(database.read("query", sql=sql.load("settings_managed"), shape="row")),
            machine_bytes=systems["host"].read("size")["memory_bytes"],
            remembered=s.remembered(systems, self.system, m.TRIED),
        )

    def rehearse(self, facts: TuneSettingsFacts, copy: Copy) -> TuneSettingsFacts:
        """Run the workload on the copy before and after, and with each setting left out in turn."""
        judgements = {v.name: v for v in self._judgements(facts)}
        proposals = {
            v.name: m.Proposal(name=v.name, former=v.setting.text(v.setting.value), advised=v.advised)
            for v in judgements.values()
            if v.decision == "set"
        }
        setting = facts.settings.get("work_mem")
        as_it_is = m.unchanged(setting) if setting else None
        trying = m.Trying(
            copy=copy,
            proposals=tuple(p for p in proposals.values() if p.name != m.RESTARTED),
            work_mem=proposals.get("work_mem", as_it_is),
            may_raise="work_mem" in judgements and judgements["work_mem"].decision in {"set", "as advised"},
            room=self._room(facts),
            restart=proposals.get(m.RESTARTED),
            machine_bytes=facts.machine_bytes,
            deadline=m.deadline(self.budget_seconds),
        )
        return facts.model_copy(update={"trial": trying.run()})

    def _room(self, facts: TuneSettingsFacts) -> m.Room | None:
        host = self._situation(facts).host
        if host is None:
            return None
        return m.Room(
            memory_bytes=host.memory_bytes, sessions=max(facts.activity.connections, 2 * host.cores)
        )

    # -- deciding ----------------------------------------------------------------------------------------------

    def plan(self, facts: TuneSettingsFacts) -> Plan:
        """Part 1 reloads, part 2 restarts; nothing where all is as advised or as the owner chose."""
        judgements = self._judgements(facts)
        parts = self._parts(facts, judgements)
        blockers = self._blockers(facts, judgements)
        summary = _summary(judgements, changes=bool(parts))
        if facts.trial and (measured := facts.trial.sentence()):
            summary = f"{summary} {measured}"
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do="" if parts or blockers else summary,
            findings=self._findings(facts, judgements),
            figures=_figures(facts, judgements),
            blockers=blockers,
            parts=parts,
        )

    def _judgements(self, facts: TuneSettingsFacts) -> tuple[Judgement, ...]:
        situation = self._situation(facts)
        judgements = []
        for rule in RULES:
            setting = facts.settings.get(rule.setting)
            wanted = not self.only or rule.setting in self.only
            advice = self._advice(rule, situation, facts) if setting and wanted else None
            if setting is not None and advice is not None:
                judgement = self._judge(rule, advice, setting, facts)
                judgements.append(judgement)
                situation.decided[rule.setting] = judgement.outcome
        return tuple(judgements)

    @staticmethod
    def _advice(rule: s.Rule, situation: s.Situation, facts: TuneSettingsFacts) -> s.Advice | None:
        """The rule's, or where a copy showed that sorts need more and it fits, that."""
        if rule.setting == "work_mem" and facts.trial and facts.trial.work_mem_bytes:
            return told.measured_work_mem(facts.trial)
        return rule.advise(situation)

    @staticmethod
    def _is_worse(setting: s.Setting, advice: s.Advice, facts: TuneSettingsFacts) -> bool:
        """Whether a copy, now or lately, showed that this very value makes queries slower."""
        if facts.trial and (effect := facts.trial.effect(setting.name)):
            return effect.verdict == "worse"
        former = facts.remembered.get(setting.name)
        return former is not None and former.value == setting.text(advice.value)

    def _situation(self, facts: TuneSettingsFacts) -> s.Situation:
        host = facts.host
        if host is not None:
            host = host.model_copy(update={"memory_bytes": int(host.memory_bytes * self.memory_share)})
        version = facts.version_num // 10000
        return s.Situation(
            version=version,
            host=host,
            activity=facts.activity,
            workload=self.workload,
            settings=facts.settings,
        )

    def _judge(
        self, rule: s.Rule, advice: s.Advice, setting: s.Setting, facts: TuneSettingsFacts
    ) -> Judgement:
        file = facts.files.get(setting.name)
        on_file = setting.value if file is None or setting.out_of_reach else setting.amount(file.on_file)
        chosen = setting.out_of_reach or on_file != setting.built_in
        rights = facts.rights
        decision: s.Decision = "set"
        if advice.met_by(on_file, chosen=chosen):
            decision = "as advised"
        elif setting.out_of_reach or (chosen and not self.override):
            decision = "kept"
        elif self._is_worse(setting, advice, facts):
            decision = "worse"
        elif facts.managed or not (
            rights.may_look and rights.may_reload and setting.name in rights.may_alter
        ):
            decision = "no right"
        return Judgement(
            setting=setting,
            advice=advice,
            decision=decision,
            on_file=on_file,
            former=file.stored if file else None,
            source=rule.source,
            severity=rule.severity,
        )

    # -- acting ------------------------------------------------------------------------------------------------

    def _parts(self, facts: TuneSettingsFacts, judgements: tuple[Judgement, ...]) -> tuple[Plan, ...]:
        changes = self._changes(facts, judgements)
        measured = self._measured_now(facts, judgements)
        return (*changes, self._remember(measured)) if measured else changes

    def _changes(self, facts: TuneSettingsFacts, judgements: tuple[Judgement, ...]) -> tuple[Plan, ...]:
        soft = [v for v in judgements if v.decision == "set" and not v.needs_restart]
        hard = [v for v in judgements if v.decision == "set" and v.needs_restart]
        parts = [self._part("1", "reload", soft, [], facts)] if soft else []
        if self._restarts(facts):
            waiting = [v for v in judgements if v.waits]
            return (
                (*parts, self._part("2", "restart", hard, waiting, facts))
                if hard or waiting
                else tuple(parts)
            )
        return (*parts, self._stored_only(hard, facts)) if hard else tuple(parts)

    def _restarts(self, facts: TuneSettingsFacts) -> bool:
        return facts.local_control and self.restart

    def _part(
        self,
        part_id: str,
        activation: Activation,
        new: list[Judgement],
        waiting: list[Judgement],
        facts: TuneSettingsFacts,
    ) -> Plan:
        everything = [*new, *waiting]
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"{len(everything)} {'setting' if len(everything) == 1 else 'settings'} by a {activation}: {', '.join(v.name for v in everything)}.",
            requirements=(self._unchanged(everything, facts),),
            steps=(*self._alterations(new, activation, facts), self._activate(activation, everything)),
            checks=tuple(self._in_effect([v]) for v in everything),
            part_id=part_id,
        )

    def _stored_only(self, new: list[Judgement], facts: TuneSettingsFacts) -> Plan:
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"{len(new)} settings stored for the owner's next restart: {', '.join(v.name for v in new)}.",
            requirements=(self._unchanged(new, facts),),
            steps=self._alterations(new, None, facts),
            checks=tuple(self._stored(v) for v in new),
            part_id="2",
        )

    @staticmethod
    def _measured_now(facts: TuneSettingsFacts, judgements: tuple[Judgement, ...]) -> tuple[Judgement, ...]:
        """What this very rehearsal showed to be worse, and nobody has remembered yet."""
        new = facts.trial.worse if facts.trial else {}
        return tuple(v for v in judgements if v.decision == "worse" and v.name in new)

    def _remember(self, judgements: tuple[Judgement, ...]) -> Plan:
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Remember that {', '.join(v.name for v in judgements)} made queries slower on a copy.",
            steps=tuple(told.remembering(self.system, v.name, v.advised) for v in judgements),
            part_id="3",
        )

    def _alterations(
        self, judgements: list[Judgement], activation: Activation | None, facts: TuneSettingsFacts
    ) -> tuple[Step, ...]:
        # Undo goes backwards, so the first step's undo comes when all former values are on file again: it puts them into effect.
        first = (self._call(activation),) if activation else ()
        effects = facts.trial.effect if facts.trial else lambda _name: None
        return tuple(
            self._alter(v, first if n == 0 else (), effects(v.name)) for n, v in enumerate(judgements)
        )

    def _alter(self, judgement: Judgement, then: tuple[Call, ...], effect: m.SettingEffect | None) -> Step:
        return Step(
            id=f"set {judgement.name}",
            call=self._call("alter_system", name=judgement.name, value=judgement.advised),
            why=f"{judgement.advice.why}{told.of_effect(effect)}",
            effect=Effect.REVERSIBLE,
            probe=self._stored(judgement),
            undo=(self._call("alter_system", name=judgement.name, value=judgement.former), *then),
            predicted=Prediction(rows=0, basis="writes postgresql.auto.conf, takes no lock on a table"),
            touches=(f"{self.system}:settings",),
        )

    def _activate(self, activation: Activation, judgements: list[Judgement]) -> Step:
        names = ", ".join(v.name for v in judgements)
        restarts = activation == "restart"
        # A server that does not come up takes no ALTER SYSTEM: `revive` puts the former values back in its file.
        revive = self._call("revive", settings={v.name: v.former for v in judgements})
        return Step(
            id=activation,
            call=self._call(activation),
            why=f"Only a restart brings {names} into effect; sessions end, and can log in again at once."
            if restarts
            else f"The server reads {names} from its files; no session is disturbed.",
            effect=Effect.REVERSIBLE,
            probe=self._in_effect(judgements),
            undo=(revive,) if restarts else (self._call("reload"),),
            predicted=Prediction(rows=0, basis="pg_ctl restart -m fast" if restarts else "pg_reload_conf()"),
            touches=(f"{self.system}:settings",),
            restarts=restarts,
        )

    # -- claims ------------------------------------------------------------------------------------------------

    def _stored(self, judgement: Judgement) -> Claim:
        return Claim(
            text=f"{judgement.name} = {judgement.advised} is stored",
            call=self._call("setting_on_file", name=judgement.name),
            expected=judgement.advised,
        )

    def _in_effect(self, judgements: list[Judgement]) -> Claim:
        ordered = sorted(judgements, key=lambda v: v.name)
        names = [v.name for v in ordered]
        return Claim(
            text=f"in effect: {', '.join(f'{v.name} = {v.setting.text(v.outcome)}' for v in ordered)}",
            call=self._call("query", sql=sql.load("settings_in_effect"), parameters={"names": names}),
            expected=[
                {"name": v.name, "setting": v.setting.shown(v.outcome), "pending_restart": False}
                for v in ordered
            ],
        )

    def _unchanged(self, judgements: list[Judgement], facts: TuneSettingsFacts) -> Claim:
        names = sorted(v.name for v in judgements)
        return Claim(
            text="the configuration files say what they said when this was planned",
            call=self._call("query", sql=sql.load("settings_stored"), parameters={"names": names}),
            expected=[{"name": n, **facts.files[n].model_dump()} for n in names if n in facts.files],
            remedy="Plan again.",
        )

    def _call(self, action: str, **arguments: Any) -> Call:
        return Call(system=self.system, action=action, arguments=arguments)

    # -- telling -----------------------------------------------------------------------------------------------

    def _blockers(self, facts: TuneSettingsFacts, judgements: tuple[Judgement, ...]) -> tuple[str, ...]:
        blockers = []
        if facts.host is None:
            blockers.append(
                f"The size of {self.system}'s host is not known, so no memory, storage or parallel setting is advised:"
                f" give systems.{self.system}.host (memory_bytes, cores, storage) in estate.yaml."
            )
        barred = [v for v in judgements if v.decision == "no right"]
        if barred and facts.managed:
            wanted = [(v.name, v.setting.shown(v.advice.value), v.advised, v.needs_restart) for v in barred]
            blockers.append(told.parameter_group(self.system, facts.managed, wanted))
        elif barred:
            blockers.append(
                f"{facts.rights.actor} may not store settings ({', '.join(str(v) for v in barred)})."
                f" Let a superuser run: {_grants(facts, barred)}"
            )
        return tuple(blockers)

    def _findings(self, facts: TuneSettingsFacts, judgements: tuple[Judgement, ...]) -> tuple[Finding, ...]:
        kept = [_kept(v) for v in judgements if v.decision == "kept"]
        kept += [self._left_out(v, facts) for v in judgements if v.decision == "worse"]
        kept += told.of_trial(facts.trial, self.system) if facts.trial else ()
        if self._restarts(facts):
            return tuple(kept)
        where = facts.data_directory or "<data directory>"
        command = f"pg_ctl restart -m fast -D {where} (or your system's: systemctl restart postgresql)"
        pending = [v for v in judgements if v.waits or (v.decision == "set" and v.needs_restart)]
        return (*kept, *(_pending(v, command) for v in pending))

    def _left_out(self, judgement: Judgement, facts: TuneSettingsFacts) -> Finding:
        effect = facts.trial.effect(judgement.name) if facts.trial else None
        former = facts.remembered.get(judgement.name)
        subject, value = judgement.name, judgement.setting.text(judgement.on_file)
        return told.left_out(self.system, subject, value, judgement.advised, effect or former)


def _summary(judgements: tuple[Judgement, ...], *, changes: bool) -> str:
    new = [str(v) for v in judgements if v.decision == "set"]
    if new:
        return f"Change {len(new)} settings: {', '.join(new)}."
    if changes:
        return f"Restart for what is stored and waits: {', '.join(v.name for v in judgements if v.waits)}."
    kept = [v.name for v in judgements if v.decision == "kept"]
    chosen = f", or as the owner chose ({', '.join(kept)})" if kept else ""
    slower = [v.name for v in judgements if v.decision == "worse"]
    chosen += f", or left out as slower on a copy ({', '.join(slower)})" if slower else ""
    barred = sum(v.decision == "no right" for v in judgements)
    missing = f"; {barred} may not be stored" if barred else ""
    return f"{len(judgements)} settings looked at: as advised{chosen}{missing}."


def _kept(judgement: Judgement) -> Finding:
    setting = judgement.setting
    reason = "something stronger than ALTER SYSTEM gives it" if setting.out_of_reach else "the owner chose it"
    how = "" if setting.out_of_reach else f": tune-settings with override and only = {judgement.name}"
    return Finding(
        rule="setting-kept",
        subject=judgement.name,
        what=f"{judgement.name} is {setting.text(judgement.on_file)} ({setting.source}) and is kept: {reason}.",
        why=f"{judgement.advice.why} Source: {judgement.source}.",
        instead=f"{judgement.name} = {judgement.advised}{how}",
        severity=judgement.severity,
    )


def _pending(judgement: Judgement, command: str) -> Finding:
    return Finding(
        rule="setting-waits-for-restart",
        subject=judgement.name,
        what=f"{judgement.name} = {judgement.setting.text(judgement.outcome)} takes effect only at a restart.",
        why=judgement.advice.why,
        instead=f"In a quiet hour: {command}",
    )


def _grants(facts: TuneSettingsFacts, barred: list[Judgement]) -> str:
    actor, reader = sql.identifier(facts.rights.actor), sql.identifier(facts.rights.reader)
    if facts.version_num < s.FIFTEEN:
        return f"ALTER ROLE {actor} SUPERUSER; (before version 15 nothing less may store settings)"
    return (
        f"GRANT ALTER SYSTEM ON PARAMETER {', '.join(v.name for v in barred)} TO {actor};"
        f" GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {actor}; GRANT pg_read_all_settings TO {reader};"
        f" GRANT SELECT ON pg_file_settings TO {reader};"
        f" GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO {reader};"
    )


def _figures(facts: TuneSettingsFacts, judgements: tuple[Judgement, ...]) -> dict[str, Any]:
    settings = {
        v.name: {"was": v.setting.text(v.on_file), "advised": v.advised, "decision": v.decision}
        for v in judgements
    }
    host = facts.host.model_dump(exclude={"disk_free_bytes"}) if facts.host else None
    measured = told.figures(facts.trial) if facts.trial else {}
    return {"host": host, **facts.activity.model_dump(), "settings": settings, **measured}
