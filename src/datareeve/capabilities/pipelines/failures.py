"""Why a run failed, by the stable code of its error: whose it is, whether trying again may help, and what to do next. Pure.

The kinds are those that a person acts on differently: the *source* or the *target* is not as it should be, the *data* is not, the *code* (the
pipeline as it is written, its models, its settings) is not, there was no *capacity*, or the *schedule* could not be kept.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, Literal

from datareeve.core.value import Value

Kind = Literal["source", "data", "target", "code", "capacity", "schedule"]
Where = Literal["", "source", "target"]


CODE: Final = re.compile(r"[a-z][a-z0-9-]*(\.[A-Za-z0-9-]+)?")


class Failure(Value):
    """What a failure is, and what to do next."""

    kind: Kind
    retry: bool  # whether the same may succeed later, without anybody doing anything
    next_step: str


SIDE: Final = "side"  # whichever of source and target it happened on
NO_RETRY, RETRY = False, True
_UNREACHABLE = "See whether the server runs and can be reached from here; the run is tried again by itself."
_LOST = "The connection broke off; the run is tried again by itself. Where it stays so, look at the server's log and at what lies between."
_BUSY = "Somebody else holds it; the run is tried again by itself. Where it stays so, end the session that blocks, or move the schedule."
_LOGIN = "Correct the user or the password that estate.yaml refers to, then run it again."
_RIGHTS = "Give the role of estate.yaml the right that the error names, then run it again."
_SPACE = "Free space where the error says, then run it again: what was loaded is kept."
_MEMORY = (
    "Give it more memory, or fewer rows at once (`batch_rows`, `parallel`); the run is tried again by itself."
)
_SLOW = "It took longer than it may; the run is tried again by itself. Where it stays so: an index, fewer rows at once, or a longer timeout."
_GONE = "What the pipeline reads or writes is no longer there, or has another shape: see what changed, and put the pipeline right."
_FILE = "Look at the file that the error names: half written, damaged or of another format; have it delivered again."
_ROWS = "Look at the rejected rows (`pipelines.status` counts them): have the source mended, or say in the pipeline what may be rejected."
_AUDIT = "Look at the rules that failed (`datareeve run quality.report`); release the build if it is right, else have the source mended."
_CODE = "Correct the pipeline's file, model or settings as the error says, then run it again."
_AUTHORITY = "Approve the plan (`datareeve approve`), or allow it in estate.yaml under `authority`."
_LEDGER = "See to the ledger's database or disk: nothing is done that cannot be recorded. The run is resumed by itself."
_OURS = "Another worker has it, and finishes it: nothing is to be done."
_STALE = "The world changed between plan and run; it is planned again by itself."
_INSTALL = "Install what the error names on the machine that runs the pipeline, then run it again."
_TIMEOUT = "Raise `schedule.timeout`, or see why it takes longer than it did (rows and seconds stand in `pipelines.status`)."
_CRASHED = "Its process ended without a word again and again: mostly memory. See the machine's log, and give it fewer rows at once."

# The first that fits counts. Patterns as in `fnmatch`; SQLSTATE classes: PostgreSQL's manual, appendix A.
RULES: Final[tuple[tuple[str, str, bool, str], ...]] = (
    ("pipelines.crashed", "capacity", NO_RETRY, _CRASHED),
    ("pipelines.timeout", "capacity", RETRY, _TIMEOUT),
    ("pipelines.held pipelines.audit pipelines.over-budget", "data", NO_RETRY, _AUDIT),
    ("pipelines.fenced lease.* step.probe", "schedule", RETRY, _OURS),
    ("plan.stale plan.requirement plan.half-done", "schedule", RETRY, _STALE),
    ("schedule.* pipelines.schedule pipelines.missed", "schedule", NO_RETRY, _CODE),
    ("approval.* authority.* hold.* session.*", "code", NO_RETRY, _AUTHORITY),
    ("ledger.busy ledger.unreachable ledger.full *-store.full *-store.busy *-store.unreachable", "capacity", RETRY, _LEDGER),
    ("ledger.* project.* *-store.*", "capacity", NO_RETRY, _LEDGER),
    # what the row itself is
    ("postgres.22* postgres.23* mysql.1048 mysql.1062 mysql.1264 mysql.1292 mysql.1366 mysql.1406 mysql.1452 mysql.1690", "data", NO_RETRY, _ROWS),
    ("duckdb.conversion duckdb.outofrange duckdb.constraint sqlite.18 sqlite.19 sqlite.20", "data", NO_RETRY, _ROWS),
    ("*.cast pipelines.*reject* pipelines.type pipelines.*-row* pipelines.*duplicat* pipelines.*precision*", "data", NO_RETRY, _ROWS),
    ("postgres.encoding copy.encoding pipelines.*encoding* subject.* erasure.* reconcile.outcome quality.personal", "data", NO_RETRY, _ROWS),
    ("contract.* rule.* quality.* reconcile.* classify.* dataset.* measure.* compliance.*", "data", NO_RETRY, _AUDIT),
    # what there is too little of
    ("*.no-space *.disk-full *.disk postgres.53100 postgres.58030 mysql.1021 mysql.1041 mysql.1114 duckdb.io sqlite.13", "capacity", RETRY, _SPACE),
    ("*.memory postgres.53200 mysql.1037 mysql.1038 duckdb.outofmemory sqlite.7 postgres.54*", "capacity", RETRY, _MEMORY),
    ("*.too-many-connections postgres.53* postgres.too-many-rows *.too-many-rows *.too-large *.too-many* mysql.1040", "capacity", RETRY, _BUSY),
    # that which is away for now
    ("*.timeout *.slow *.no-answer postgres.57014 upstream.*timeout upstream.deadline", SIDE, RETRY, _SLOW),
    ("*.lock-timeout *.locked *.busy *.conflict postgres.40* postgres.55P03 postgres.recovery-conflict *.in-use sqlite.5 sqlite.6 mysql.1205 mysql.1213", SIDE, RETRY, _BUSY),
    ("*.unreachable *.silent *.down postgres.57* *.host-blocked upstream.* *.unavailable *.rate-limit* *.throttled", SIDE, RETRY, _UNREACHABLE),
    ("*.lost *.connection-lost *.interrupted postgres.08* postgres.25006 mysql.2006 mysql.2013 postgres.XX* *.cut", SIDE, RETRY, _LOST),
    ("*.vanished *.changed *.open-file folder.empty-file *.half-written *.incomplete *.truncated", SIDE, RETRY, _FILE),
    # those who may not come in
    ("*.login *.login-method *.certificates *.key-refused *.token* *.redirect *.auth* secret.* *.user", SIDE, NO_RETRY, _LOGIN),
    ("*.rights *.no-rights *.grant *.forbidden *.read-only postgres.28* postgres.42501 *.not-allowed files.outside folder.outside *.not-a-person", SIDE, NO_RETRY, _RIGHTS),
    # what is no longer as it was
    ("*.missing *.no-table *.no-tables *.no-column *.*-column *.no-file *.no-folder *.no-rows *.unknown-index mysql.1054 mysql.1146 mysql.1412", SIDE, NO_RETRY, _GONE),
    ("postgres.42703 postgres.42P01 postgres.3F000 postgres.3D000 postgres.database mysql.database duckdb.catalog schema.unknown twin.*", SIDE, NO_RETRY, _GONE),
    ("*.damaged *.not-a-database *.needs-recovery *.encrypted *.unreadable *.mixed-schema *.version *.too-old *.newer", SIDE, NO_RETRY, _FILE),
    ("folder.* files.* file.* *.empty-file pipelines.*file*", SIDE, NO_RETRY, _FILE),
    # what is not installed
    ("*.no-tool *.no-binaries *.needs-extra *.extra *.not-installed *.extension *.driver format.* pgbench.missing repack.missing", "code", NO_RETRY, _INSTALL),
    # what a person wrote
    ("postgres.42* postgres.0A* postgres.2* postgres.3* *.sql *.syntax *.statement *.several-statements *.not-a-read *.parameters *.regex *.unparsed *.binder", "code", NO_RETRY, _CODE),
    ("dbt.* airflow.*", "code", NO_RETRY, _CODE),
    ("mysql.* duckdb.* sqlite.* spark.* postgres.*", SIDE, NO_RETRY, _CODE),
    ("pipelines.failed internal.* internal", "code", NO_RETRY, _CODE),
    ("pipelines.*", "code", NO_RETRY, _CODE),
    ("estate.* engine.* operation.* system.* plan.* run.* task.* url.* statement.* history.* key.* models.* step.* worker.* lineage.* quality.*", "code", NO_RETRY, _CODE),
    # other slices' own: a pipeline that meets one was made to
    ("gateway.* provider.* bill.* usage.* contents.* kek.* sealed.* replay.* drill.* pool.* pgbouncer.* mcp.* notify.* command.*", "code", NO_RETRY, _CODE),
    ("backup.* restore.* copy.* repack.* pgbench.* explain.* rewrite.* workload.* watch.* plans.* report.* health.* documenter.* demo.*", "code", NO_RETRY, _CODE),
)  # fmt: skip
UNKNOWN: Final = (
    "code",
    NO_RETRY,
    "Look at the run (`datareeve runs`): this error has no place among the known ones.",
)


def classify(code: str, where: Where = "") -> Failure:
    """What an error's code says of a run. `where`: on which side it happened; where that is not told, a system's own trouble is its source's."""
    kind, retry, next_step = known(code) or UNKNOWN
    return Failure(kind=(where or "source") if kind == SIDE else kind, retry=retry, next_step=next_step)


@lru_cache(maxsize=1024)
def known(code: str) -> tuple[str, bool, str] | None:
    """The rule for a code; None where there is none."""
    for patterns, kind, retry, next_step in RULES:
        if any(fnmatchcase(code, pattern) for pattern in patterns.split()):
            return kind, retry, next_step
    return None


def code_of(error: str) -> str:
    """The code in an error as outcomes have it, 'code: what is wrong'; '' where there is none."""
    code = error.partition(":")[0].strip()
    return code if CODE.fullmatch(code) else ""
