"""What a copy taught about settings, as findings, figures and reasons; and what to do where only a cloud service may set them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases.settings import SLOWER, Advice, Remembered
from datareeve.core.operation import Call, Claim, Effect, Finding, Severity, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.databases.settings_measured import Need, Room, SettingEffect, SettingsTrial

MOST_FAMILIES = 20  # in figures; those that changed most


def measured_work_mem(trial: SettingsTrial) -> Advice:
    """The work_mem that a copy showed to be needed, with the arithmetic."""
    room, value = trial.room, trial.work_mem_bytes or 0
    needs = [n for n in trial.needs if room and n.fits(room)]
    arithmetic = "; ".join(f"{n.arithmetic(room)} ({n.sql})" for n in needs[:3] if room)
    return Advice(value=value, why=f"Measured on a copy: {arithmetic}.", tolerance=0)


def of_effect(effect: SettingEffect | None) -> str:
    """A setting's own effect, to stand behind its reason; empty where nothing was measured."""
    if effect is None:
        return ""
    told = "Not measured" if effect.verdict == "not measured" else "Measured"
    return f" {told}: {effect.why}" + ("" if effect.why.endswith((".", "?")) else ".")


def left_out(
    system: str, name: str, value: str, advised: str, known: SettingEffect | Remembered | None
) -> Finding:
    """A setting that was slower on a copy and is left as it is."""
    narrow = (
        f"It stays {value}. For a role that gains by it alone: ALTER ROLE <role> SET {name} = '{advised}';"
    )
    if isinstance(known, Remembered) or known is None:
        when = f" on {known.at[:10]}" if known else ""
        what = f"{name} = {advised} is left out: it made queries slower when it was tried on a copy of {system}{when}."
        return Finding(rule="setting-slower", subject=name, what=what, instead=narrow, severity=Severity.INFO)
    worse = [c for c in known.families if c.clear == "worse"]
    better = [c for c in known.families if c.clear == "better"]
    return Finding(
        rule="setting-slower",
        subject=name,
        what=f"{name} = {advised} is left out: {len(worse)} of {len(known.families)} families that it touches are clearly slower with it.",
        why=known.why,
        instead=narrow if better else f"It stays {value}.",
        figures={
            "workload_percent": known.percent,
            "slower": {c.fingerprint: c.ratio for c in worse},
            "faster": {c.fingerprint: c.ratio for c in better},
        },
    )


def of_trial(trial: SettingsTrial, system: str) -> tuple[Finding, ...]:
    """What was measured in all, and the families whose sorts do not fit."""
    measured = trial.sentence()
    told = Finding(
        rule="settings-measured" if trial.families else "settings-not-measured",
        subject=system,
        what=measured,
        why=trial.differs,
        severity=Severity.INFO,
        figures=_totals(trial),
    )
    return (told, *_unfitting(trial)) if measured else _unfitting(trial)


def _unfitting(trial: SettingsTrial) -> tuple[Finding, ...]:
    """The families that go on spilling; not where a copy showed that they are faster so."""
    room = trial.room
    if room is None or "work_mem" in trial.worse:
        return ()
    left = (n for n in trial.needs if n.needs_bytes is None or n.needs_bytes > trial.work_mem_after)
    return tuple(_spills(need, room) for need in left)


def _spills(need: Need, room: Room) -> Finding:
    alone = need.needs_bytes is not None and need.needs_bytes * need.operations <= room.bytes
    size = f"{(need.needs_bytes or 0) // 2**20}MB"
    instead = (
        f"SET LOCAL work_mem = '{size}' in the transactions that run it, or ALTER ROLE for those that do."
        if alone
        else ""
    )
    return Finding(
        rule="sort-spills",
        subject=need.sql,
        what=f"{need.arithmetic(room)}.",
        why="What does not fit into work_mem goes through temporary files.",
        instead=instead or "An index in the order that is wanted, or fewer rows and columns before the sort.",
        severity=Severity.INFO,
        figures={"temp_bytes": need.temp_bytes, "work_mem_bytes": need.needs_bytes},
    )


def figures(trial: SettingsTrial) -> dict[str, Any]:
    """Before and after in all, by family (largest change first) and by setting, and the arithmetic of work_mem."""
    if not trial.families:
        return {"measured": trial.unmeasured}
    room = trial.room
    return {
        "measured": trial.sentence(),
        "measured_on": trial.differs or "a copy of the same version",
        **{f"settings_{name}": value for name, value in _totals(trial).items()},
        "by_family": [f.model_dump() for f in trial.families[:MOST_FAMILIES]],
        "by_setting": [e.model_dump() for e in trial.settings],
        "work_mem": [{**n.model_dump(), "arithmetic": n.arithmetic(room)} for n in trial.needs if room],
        "not_run": trial.left_out,
    }


def _totals(trial: SettingsTrial) -> dict[str, Any]:
    names = (
        ("workload_ms", "ms"),
        ("cpu_ms", "cpu_ms"),
        ("buffers", "buffers"),
        ("temp_bytes", "temp_bytes"),
    )
    totals: dict[str, Any] = {}
    for name, figure in names if trial.families else ():
        totals |= {
            f"{name}_before": trial.total(figure, "before"),
            f"{name}_after": trial.total(figure, "after"),
        }
    return {key: value for key, value in totals.items() if value is not None}


def remembering(system: str, name: str, advised: str) -> Step:
    """The step that notes in the ledger that a value was slower, so that it is not proposed again."""
    sample = f"{SLOWER}.{name}"
    arguments = {"system": system, "figures": {sample: 1.0}, "labels": {"value": advised}}
    reading = Call(
        system="ledger", action="sampled", arguments={"system": system, "name": sample, "run": "{run}"}
    )
    return Step(
        id=f"remember {name}",
        call=Call(system="ledger", action="add_samples", arguments=arguments),
        why=f"{name} = {advised} is not proposed again for thirty days.",
        effect=Effect.REVERSIBLE,
        probe=Claim(text=f"the ledger remembers that {name} = {advised} was slower", call=reading),
        no_undo="A measurement stays in the ledger; nothing is changed by it.",
    )


WHERE = {
    "Amazon RDS or Aurora": (
        "in its DB parameter group (aws rds modify-db-parameter-group --parameters"
        ' "ParameterName=NAME,ParameterValue=VALUE,ApplyMethod=immediate", pending-reboot for those that need a restart)'
    ),
    "Google Cloud SQL": "as database flags (gcloud sql instances patch INSTANCE --database-flags=NAME=VALUE,..., which replaces all flags)",
    "Google AlloyDB": "as database flags (gcloud alloydb instances update INSTANCE --database-flags=NAME=VALUE,..., which replaces all flags)",
    "Azure Database for PostgreSQL": "as server parameters (az postgres flexible-server parameter set --name NAME --value VALUE)",
}


def parameter_group(system: str, managed: str, wanted: Sequence[tuple[str, str, str, bool]]) -> str:
    """What to set where only the service's own tools may; values in the units that they take, those of pg_settings.

    `wanted`: (name, value in pg_settings' units, value with its unit, needs a restart).
    """
    values = ", ".join(
        f"{name} = {shown}{f' ({text})' if text != shown else ''}{', needs a restart' if restart else ''}"
        for name, shown, text, restart in wanted
    )
    return f"{system} runs on {managed}, which refuses ALTER SYSTEM. Set {WHERE[managed]}: {values}."
