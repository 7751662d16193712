"""What index advice tells beside the indexes it creates: candidates that did not earn their place, and indexes that are not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import index_advice
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.index_advice import ExistingIndex, Situation
    from datareeve.capabilities.databases.index_trial import Trial

UNUSED_AFTER_DAYS = 7.0  # an index for a weekly report is unused on six days
WORTH_TELLING_BYTES = 1_000_000


def of_trial(trial: Trial) -> Iterator[Finding]:
    """The candidates that were tried and are not advised, with what was measured."""
    for one in trial.tried:
        if one.why_not:
            yield Finding(
                rule="index-rejected",
                subject=one.candidate.subject,
                what=f"This index was tried on a copy and is not advised. {one.why_not}",
                severity=Severity.INFO,
                figures={"saved_ms": one.saved_ms, "bytes": one.bytes, "build_seconds": one.build_seconds},
            )


def not_measured(subjects: tuple[str, ...]) -> Finding:
    """Said where indexes are proposed by estimate alone."""
    return Finding(
        rule="index-not-measured",
        subject=index_advice.described(subjects),
        what="These indexes are not yet measured: they rest on the planner's estimates.",
        instead="Rehearse the plan: the recorded statements are then run on a copy with and without them.",
        severity=Severity.INFO,
    )


def of_existing(situation: Situation, statistics_days: float | None, system: str) -> Iterator[Finding]:
    """Indexes that are invalid, duplicate or unused, and foreign keys without one."""
    for index in situation.indexes:
        if not index.is_valid:
            what = f"{index.name} is invalid: a concurrent build of it failed. Writes maintain it, no query uses it."
            yield _drop("invalid-index", index, what, system)
    doubled = index_advice.redundant(situation.indexes)
    for index, other in doubled:
        what = f"{index.name} ({', '.join(index.keys)}) does nothing that {other.name} ({', '.join(other.keys)}) does not do."
        yield _drop("duplicate-index", index, what, system)
    told = {(index.schema_name, index.name) for index, _ in doubled}
    if statistics_days is not None and statistics_days >= UNUSED_AFTER_DAYS:
        for index in situation.indexes:
            if _is_unused(index) and (index.schema_name, index.name) not in told:
                what = f"{index.name} was not used once in {statistics_days:.0f} days here. A standby may still use it."
                yield _drop("unused-index", index, what, system, Severity.INFO)
    for key in index_advice.unindexed_foreign_keys(situation):
        yield Finding(
            rule="unindexed-foreign-key",
            mended_by="databases.create-index",
            subject=f"{key.schema_name}.{key.table_name} ({', '.join(key.columns)})",
            what=f"No index leads with the columns of the foreign key {key.name}.",
            why=f"Deleting a row of {key.referred}, or changing its key, reads all of {key.table_name}; this workload would not pay for the index.",
            instead="Create it (databases.create-index) before rows of the referred table are deleted in numbers.",
            severity=Severity.INFO,
        )


def _is_unused(index: ExistingIndex) -> bool:
    spare = index.is_valid and not index.is_unique and not index.has_constraint
    return spare and index.scans == 0 and index.bytes >= WORTH_TELLING_BYTES


def _drop(
    rule: str, index: ExistingIndex, what: str, system: str, severity: Severity = Severity.WARNING
) -> Finding:
    return Finding(
        rule=rule,
        subject=f"{index.schema_name}.{index.table_name} ({', '.join(index.keys)})",
        what=what,
        why=f"It costs {index.bytes / 1e6:.1f} MB and time on every write.",
        instead=f"databases.drop-index with system={system} schema_name={index.schema_name} index={index.name}; its undo builds it again.",
        severity=severity,
        figures={"bytes": index.bytes, "scans": index.scans},
    )


def figures(situation: Situation, trial: Trial | None) -> dict[str, Any]:
    """The workload before and after, measured on the copy: in all, a write's WAL, and family by family (largest gain first)."""
    recorded = situation.workload
    base: dict[str, Any] = {"families": len(recorded.families), "workload": recorded.source.sentence()}
    if trial is None:
        return base
    effects = sorted(
        trial.families, key=lambda f: (-((f.ms_before or 0) - (f.ms_after or 0)) * f.calls, f.fingerprint)
    )
    return {
        **base,
        "measured_on": trial.differs or "a copy of the same version",
        "workload_ms_before": trial.workload_ms("before"),
        "workload_ms_after": trial.workload_ms("after"),
        "index_bytes": sum(one.bytes for one in trial.advised),
        "wal_bytes_per_write_before": _wal_per_write(trial, situation, "before"),
        "wal_bytes_per_write_after": _wal_per_write(trial, situation, "after"),
        "by_family": [
            {**effect.model_dump(), "sql": recorded.family(effect.fingerprint).short}
            for effect in effects
            if effect.ms_before is not None
        ],
    }


def _wal_per_write(trial: Trial, situation: Situation, when: str) -> float | None:
    writes = {family.fingerprint for family in situation.workload.families if family.is_write}
    counted = [(getattr(f, f"wal_bytes_{when}"), f.calls) for f in trial.families if f.fingerprint in writes]
    known = [(wal, calls) for wal, calls in counted if wal is not None]
    calls = sum(calls for _, calls in known)
    return round(sum(wal * calls for wal, calls in known) / calls, 1) if calls else None
