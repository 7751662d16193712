"""Server settings as values: what is in effect, what is advised and why, and the units between them.

Amounts are normalised: bytes for memory, milliseconds for time, plain numbers otherwise, so that '128MB' and 16384 blocks of 8 kB are
equal. A rule (one file each in `rules/settings/`) turns a `Situation` into an `Advice`, or None where it sees no reason to change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from datareeve.capabilities.databases import sql
from datareeve.core import clock
from datareeve.core.operation import Severity
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datareeve.core.operation import Systems

Amount = int | float | str
Decision = Literal["set", "as advised", "kept", "no right", "worse"]
Workload = Literal["oltp", "mixed", "analytics"]

KB = 1024
MB = 1024 * KB
GB = 1024 * MB
SECOND = 1000
MINUTE = 60 * SECOND

SEVENTEEN, FIFTEEN, FOURTEEN = 170000, 150000, 140000  # server versions that brought a view or a right

# PostgreSQL's units (manual 19.1.1), in bytes or milliseconds; its own 'kB' is 1024 bytes.
UNITS = {
    "B": 1,
    "kB": KB,
    "MB": MB,
    "GB": GB,
    "TB": 1024 * GB,
    "ms": 1,
    "s": SECOND,
    "min": MINUTE,
    "h": 60 * MINUTE,
    "d": 1440 * MINUTE,
}
NUMBER_WITH_UNIT = re.compile(r"(-?[\d.]+(?:e[-+]?\d+)?)\s*([A-Za-z]*)$")


class Setting(Value):
    """A row of pg_settings."""

    name: str
    setting: str
    unit: str | None
    vartype: str
    context: str
    source: str
    boot_val: str | None
    enumvals: tuple[str, ...] | None = None
    pending_restart: bool = False
    by_alter_system: bool = False

    @property
    def value(self) -> Amount:
        """The value in effect, normalised."""
        return self.amount(self.setting)

    def amount(self, text: str) -> Amount:
        """A text such as '1GB', or '131072' in the setting's own unit, normalised."""
        found = NUMBER_WITH_UNIT.match(text.strip()) if self.vartype in {"integer", "real"} else None
        if found is None:
            return text
        number = float(found[1])
        if number > 0:  # -1 and 0 mean "off" or "automatic", whatever the unit
            number *= UNITS[found[2]] if found[2] else _unit_factor(self.unit)
        return int(number) if number.is_integer() else number

    def text(self, amount: Amount) -> str:
        """How ALTER SYSTEM is given an amount: in the largest unit that holds it exactly ('4GB', '10min')."""
        if self.unit is None or not isinstance(amount, int) or amount <= 0:
            return str(amount)
        units = ("TB", "GB", "MB", "kB", "B") if _is_memory(self.unit) else ("d", "h", "min", "s", "ms")
        unit = next(unit for unit in units if amount % UNITS[unit] == 0)
        return f"{amount // UNITS[unit]}{unit}"

    def shown(self, amount: Amount) -> str:
        """How pg_settings shows an amount: a number of the setting's own units, reals as C's %g prints them."""
        if self.vartype == "real":
            return f"{amount:g}"
        plain = isinstance(amount, str) or self.unit is None or amount <= 0
        return str(amount) if plain else str(int(amount) // _unit_factor(self.unit))

    @property
    def built_in(self) -> Amount:
        """The value when nobody chooses one (initdb writes some of those to postgresql.conf as well)."""
        return self.amount(self.boot_val or "")

    @property
    def out_of_reach(self) -> bool:
        """Whether something stronger than ALTER SYSTEM gives the value: the command line, or a database's or role's own setting."""
        return self.source not in {"default", "configuration file", "override"}


def _unit_factor(unit: str | None) -> int:
    if not unit:
        return 1
    number, name = re.fullmatch(r"(\d*)(\w+)", unit).groups()  # type: ignore[union-attr]
    return int(number or 1) * UNITS[name]


def _is_memory(unit: str) -> bool:
    return unit.endswith("B")


class OnFile(Value):
    """What stands in the configuration files for a setting, in effect or not."""

    on_file: str  # the last word of all files
    stored: str | None = None  # by ALTER SYSTEM


class Rights(Value):
    """What the login role (`actor`) and the reading role (`reader`) may do about settings."""

    reader: str
    actor: str
    may_look: bool
    may_reload: bool
    may_alter: tuple[str, ...] = ()


class Remembered(Value):
    """A setting's value that was slower on a copy, and when."""

    value: str
    at: str


class HostFacts(Value):
    """The machine the server runs on."""

    memory_bytes: int
    cores: int
    storage: str
    disk_free_bytes: int | None = None  # None: not this machine


class Activity(Value):
    """What the server has been doing since its statistics began."""

    connections: int = 0  # client sessions now, or the most that were sampled
    max_connections: int = 100
    temp_files: int = 0
    temp_bytes: int = 0
    database_bytes: int = 0
    largest_table_rows: int = 0
    checkpoints_timed: int = 0
    checkpoints_requested: int = 0
    wal_bytes_per_second: float | None = None


class Situation(Value):
    """All that a rule may rest on. Without a `host` no rule that needs its size gives advice."""

    version: int  # major
    host: HostFacts | None
    activity: Activity
    workload: Workload
    settings: dict[str, Setting]
    decided: dict[str, Amount] = Field(default_factory=dict)  # after the rules before this one

    def amount(self, name: str) -> int:
        """What a setting will be: as decided, else as it is."""
        return int(self.decided[name] if name in self.decided else self.settings[name].value)


class Advice(Value):
    """A setting's advised value, normalised, and why in one sentence.

    `tolerance`: a value somebody chose is as good when it lies within this factor (0.25: four fifths to five quarters).
    """

    value: Amount
    why: str
    tolerance: float = 0.25

    def met_by(self, value: Amount, *, chosen: bool) -> bool:
        """Whether `value` needs no change. A built-in default is nobody's choice: it must be equal."""
        if isinstance(value, str) or isinstance(self.value, str) or not chosen or min(value, self.value) <= 0:
            return value == self.value
        return 1 / (1 + self.tolerance) <= value / self.value <= 1 + self.tolerance


@dataclass(frozen=True)
class Rule:
    """One setting's advice, with the source it is from; `severity` is that of leaving the setting otherwise."""

    setting: str
    source: str
    advise: Callable[[Situation], Advice | None]
    severity: Severity = Severity.INFO


def whole_mb(number: float) -> int:
    """An amount of bytes, rounded down to 16 MB where it is large and to 1 MB where not, so that small changes of the host change no advice."""
    step = 16 * MB if number >= GB else MB
    return int(number) // step * step


def power_of_two(number: float) -> int:
    """The largest power of two that is not more; 1 for less than that."""
    return 1 << max(int(number).bit_length() - 1, 0)


def megabytes(number: float) -> str:
    """An amount of bytes for a sentence: '512 MB', '3.9 GB'."""
    return f"{number / GB:.1f} GB".replace(".0 ", " ") if number >= GB else f"{number / MB:.0f} MB"


def host_of(systems: Systems, system: str, server: dict[str, Any]) -> HostFacts | None:
    """A database's host: as the estate declares it, else this machine when the server is here, else None (never a guess)."""
    declared = systems["estate"].read("get", where=["systems", system, "host"])
    if declared is not None:
        return HostFacts(**{"storage": "ssd", **declared})
    if not server["local_control"]:
        return None
    folder = server["data_directory"]
    free = systems["host"].read("disk", path=folder)["free_bytes"] if folder else None
    return HostFacts(**systems["host"].read("size"), disk_free_bytes=free)


def activity_of(systems: Systems, system: str, version_num: int) -> Activity:
    """What the server has been doing, from its cumulative statistics."""
    database = systems[system]
    checkpoints = sql.load("settings_checkpoints" if version_num >= SEVENTEEN else "settings_checkpoints_16")
    row = database.read("query", sql=checkpoints, shape="row")
    wal = sql.load("settings_wal")
    return Activity(
        **database.read("query", sql=sql.load("settings_workload"), shape="row"),
        checkpoints_timed=row["timed"],
        checkpoints_requested=row["requested"],
        wal_bytes_per_second=database.read("query", sql=wal, shape="scalar")
        if version_num >= FOURTEEN
        else None,
    )


def rights_of(systems: Systems, system: str, server: dict[str, Any], names: Sequence[str]) -> Rights:
    """Which of the named settings may be stored, and whether what is stored may be read and loaded."""
    database = systems[system]
    row = database.read("query", sql=sql.load("settings_rights"), shape="row")
    may_alter = list(names) if server["superuser"] else []
    if not server["superuser"] and server["version_num"] >= FIFTEEN:
        parameters = {"names": list(names)}
        may_alter = database.read(
            "query", sql=sql.load("settings_may_alter"), parameters=parameters, shape="column"
        )
    return Rights(**row, may_alter=tuple(may_alter))


SLOWER = "setting_slower_on_a_copy"  # the sample's name, with the setting's behind a dot; its value stands in the labels
REMEMBERED_FOR = timedelta(days=30)  # data and workload change: then it is measured anew


def remembered(systems: Systems, system: str, names: Sequence[str]) -> dict[str, Remembered]:
    """Which values of the named settings a copy showed to be slower, of late."""
    ledger, since = systems["ledger"], clock.stamp(clock.now() - REMEMBERED_FOR)
    found = {}
    for name in names:
        for sample in ledger.read("samples", system=system, name=f"{SLOWER}.{name}", since=since, limit=1):
            found[name] = Remembered(value=str(sample["labels"].get("value", "")), at=sample["at"])
    return found


MANAGED = {  # what a managed service gives itself away by -> what it is called
    "rds": "Amazon RDS or Aurora",
    "cloudsql": "Google Cloud SQL",
    "alloydb": "Google AlloyDB",
    "azure": "Azure Database for PostgreSQL",
}


def managed_by(signs: dict[str, bool] | None) -> str:
    """The managed service by the signs of `settings_managed.sql`; empty for a server of one's own."""
    return next((MANAGED[sign] for sign in MANAGED if (signs or {}).get(sign)), "")
