"""What index advice tells beside the indexes it creates: what did not earn its place, what is slower now, and indexes that are not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import index_candidates, index_overlap, index_redundancy
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.index_facts import Candidate, ExistingIndex, Situation
    from datareeve.capabilities.databases.index_trial import Trial
    from datareeve.capabilities.databases.index_whatif import WhatIf

UNUSED_AFTER_DAYS = 7.0  # an index for a weekly report is unused on six days
WORTH_TELLING_BYTES = 1_000_000
SLOWER, SLOWER_MS = 1.2, 1.0  # a family that takes so many times as long, and so much longer, is told


def told(  # noqa: PLR0913, PLR0917 - everything that a plan tells
    situation: Situation,
    trial: Trial | None,
    statistics_days: float | None,
    system: str,
    advised: tuple[Candidate, ...],
    why_no_trial: str,
) -> tuple[Finding, ...]:
    """Every finding, those about the advice first."""
    doubt = (_not_measured(advised, why_no_trial),) if advised and trial is None else ()
    tried = (*_slower(trial, situation), *_rejected(trial)) if trial else ()
    existing = tuple(of_existing(situation, statistics_days, system, advised))
    return (*doubt, *tried, *_trigrams(situation), *existing)


def _rejected(trial: Trial) -> Iterator[Finding]:
    """The candidates that were tried and are not advised, with what was measured."""
    for one in trial.tried:
        if one.why_not:
            yield Finding(
                rule="index-rejected",
                subject=one.candidate.subject,
                what=f"This index was tried on a copy and is not advised. {one.why_not}",
                severity=Severity.INFO,
                figures={
                    "saved_ms": one.saved_ms,
                    "bytes": one.bytes,
                    "build_seconds": one.build_seconds,
                    "write_percent": one.write_percent,
                },
            )


def _slower(trial: Trial, situation: Situation) -> Iterator[Finding]:
    """The statements that the advised indexes make slower, because the planner takes one that it should not."""
    for family in trial.families:
        before, after = family.cpu_ms_before, family.cpu_ms_after
        if (
            not before
            or not after
            or family.is_floor_before
            or after < before * SLOWER
            or after - before < SLOWER_MS
        ):
            continue
        shape = situation.workload.family(family.fingerprint)
        yield Finding(
            rule="slower-with-index",
            subject=f"{family.fingerprint} ({', '.join(shape.tables)})",
            what=f"With the advised indexes it takes {after:,.1f} ms a call on the copy, without them {before:,.1f}: {shape.short}",
            why="The planner takes an index for cheaper than it is. The workload as a whole is faster; this statement is not.",
            instead="Look at its plan (databases.explain-query); extended statistics or a rewrite often mend the estimate.",
            severity=Severity.INFO if shape.is_write else Severity.WARNING,
            figures={"cpu_ms_before": before, "cpu_ms_after": after, "calls": family.calls},
        )


def _not_measured(advised: tuple[Candidate, ...], why: str) -> Finding:
    """Said where indexes are proposed by estimate alone."""
    return Finding(
        rule="index-not-measured",
        subject=index_candidates.described(one.subject for one in advised),
        what=f"These indexes are not yet measured: they rest on the planner's estimates. {why}".strip(),
        instead="Rehearse the plan: the recorded statements are then run on a copy with and without them.",
        severity=Severity.INFO,
    )


def _trigrams(situation: Situation) -> Iterator[Finding]:
    for subject in index_candidates.wants_trigrams(situation):
        yield Finding(
            rule="no-trigram-index",
            subject=subject,
            what="It is searched for a part of its text, and every row is read for that.",
            why="A B-tree knows how a text begins, not what is in it; the extension pg_trgm does, and is not installed.",
            instead="CREATE EXTENSION pg_trgm, then run databases.advise-indexes again: a trigram index is tried with the rest.",
            severity=Severity.INFO,
        )


def of_existing(
    situation: Situation, statistics_days: float | None, system: str, advised: tuple[Candidate, ...] = ()
) -> Iterator[Finding]:
    """Indexes that are invalid, duplicate or unused, or will do nothing beside the advised ones; and foreign keys without one."""
    known = {f"{index.schema_name}.{index.name}": index for index in situation.indexes}
    gone: set[str] = set()
    for verdict in index_redundancy.provable(situation.uses):
        if (index := known.get(verdict.index.shown)) is not None:
            gone.add(verdict.index.shown)
            yield _provable(index, known.get(verdict.stand_in), system)
    for index, one in index_overlap.outdone(situation.indexes, advised):
        what = f"{index.name} ({', '.join(index.keys)}) will do nothing that the new index on {one.subject} does not do."
        gone.add(f"{index.schema_name}.{index.name}")
        yield _drop("index-outdone", index, what, system, Severity.INFO)
    if statistics_days is not None and statistics_days >= UNUSED_AFTER_DAYS:
        for index in situation.indexes:
            if _is_unused(index) and f"{index.schema_name}.{index.name}" not in gone:
                what = f"{index.name} was not used once in {statistics_days:.0f} days here. A standby may still use it."
                yield _drop("unused-index", index, what, system, Severity.INFO)
    yield from _unindexed(situation, advised)


def _provable(index: ExistingIndex, stand_in: ExistingIndex | None, system: str) -> Finding:
    if stand_in is None:
        what = (
            f"{index.name} is invalid: a concurrent build of it failed. Writes maintain it, no query uses it."
        )
        return _drop("invalid-index", index, what, system)
    does, instead = (f"{one.name} ({', '.join(one.keys)})" for one in (index, stand_in))
    what = f"{does} does nothing that {instead} does not do."
    return _drop("duplicate-index", index, what, system)


def _unindexed(situation: Situation, advised: tuple[Candidate, ...]) -> Iterator[Finding]:
    for key in index_overlap.unindexed_foreign_keys(situation, advised):
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


def figures(situation: Situation, trial: Trial | None, what_if: WhatIf | None) -> dict[str, Any]:
    """The workload before and after, measured on the copy: in all, a written row, and family by family (largest gain first)."""
    recorded = situation.workload
    base: dict[str, Any] = {
        "families": len(recorded.families),
        "families_analysed": len(situation.needs),
        "workload": recorded.source.sentence(),
    }
    if what_if is not None:
        base |= {
            "candidates": what_if.asked,
            "twin_seconds": what_if.seconds,
            "estimated_saving_percent": what_if.saved_percent,
        }
    if trial is None:
        return base
    effects = sorted(
        trial.families,
        key=lambda f: (-((f.cpu_ms_before or 0) - (f.cpu_ms_after or 0)) * f.calls, f.fingerprint),
    )
    return {
        **base,
        "measured_on": trial.differs or "a copy of the same version",
        "candidates_built": len(trial.tried),
        "families_left_out": trial.families_left_out,
        "workload_ms_before": trial.workload_ms("before"),
        "workload_ms_after": trial.workload_ms("after"),
        "given_up_before": [f.fingerprint for f in trial.families if f.is_floor_before],
        "index_bytes": sum(one.bytes for one in trial.advised),
        "writes": [one.model_dump() for one in trial.writes],
        "by_family": [
            {**effect.model_dump(), "sql": recorded.family(effect.fingerprint).short}
            for effect in effects
            if effect.cpu_ms_before is not None
        ],
    }
