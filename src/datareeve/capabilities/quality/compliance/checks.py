"""The checks that packs name. Each looks at one thing and says of what it is so, of what not, and what could not be looked at.

What is declared is taken at its word (encryption at rest cannot be seen from within a database), and the finding says that it was declared.
A check that had nothing to look at is `not applicable`; one that could not look is `not run`, with the reason. Neither is a pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from datareeve.capabilities.quality.compliance import registering
from datareeve.capabilities.quality.compliance.access import is_local
from datareeve.capabilities.quality.compliance.places import WRITTEN
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.capabilities.quality.compliance.access import SystemAccess
    from datareeve.capabilities.quality.compliance.facts import ComplianceFacts

Says = Literal["pass", "fail", "not run", "not applicable"]
SPECIAL_BASES = {"consent", "legal obligation", "vital interests", "public task"}
OFFICIAL_BASES = {"legal obligation", "public task"}
NAMED = 5  # of many, in one finding
OWN_RIGHTS = (
    "our account sees its own rights only: GRANT SELECT ON mysql.* TO it, or review as an administrator"
)
GUARDED = {"at rest", "by column"}


class Result(Value):
    """What a check found."""

    passed: tuple[str, ...] = ()
    failing: dict[str, str] = Field(default_factory=dict)  # subject: what is wrong
    not_run: dict[str, str] = Field(default_factory=dict)  # subject: why it was not looked at

    @property
    def says(self) -> Says:
        """Anything that fails is a failure; anything not looked at keeps it from being a pass."""
        if self.failing:
            return "fail"
        if self.not_run:
            return "not run"
        return "pass" if self.passed else "not applicable"


CheckFunction = Callable[..., Result]  # called with the facts and a rule's arguments
CHECKS: dict[str, CheckFunction] = {}


def check(function: CheckFunction) -> CheckFunction:
    """Make a function known to packs by its name."""
    CHECKS[function.__name__] = function
    return function


def _each(
    names: Iterable[str], wrong: Callable[[str], str], unseen: Callable[[str], str] = lambda _: ""
) -> Result:
    """The result of asking the same of several: what `wrong` says of one fails, what `unseen` says was not looked at."""
    passed, failing, not_run = [], {}, {}
    for name in names:
        if why := unseen(name):
            not_run[name] = why
        elif what := wrong(name):
            failing[name] = what
        else:
            passed.append(name)
    return Result(passed=tuple(passed), failing=failing, not_run=not_run)


# -- the register ----------------------------------------------------------------------------------------------------------------------


@check
def registered(facts: ComplianceFacts, **scope: Any) -> Result:
    """Each dataset with personal data is in a processing."""
    known = {name for entry in facts.declared.processing.values() for name in entry.datasets}
    return _each(facts.in_scope(scope), lambda name: "" if name in known else "it is in no processing, so nobody says what for")  # fmt: skip


@check
def has_basis(facts: ComplianceFacts) -> Result:
    """Each dataset with personal data has a lawful basis."""
    return _each(facts.personal(), lambda name: "" if _bases(facts, name) else "no processing gives it a lawful basis")  # fmt: skip


@check
def special_basis(facts: ComplianceFacts) -> Result:
    """Special categories rest on a basis that article 9(2) knows."""
    return _needs_basis(facts, {"special": True}, SPECIAL_BASES, "special categories")


@check
def criminal_basis(facts: ComplianceFacts) -> Result:
    """Criminal data rests on official authority or a law."""
    return _needs_basis(facts, {"criminal": True}, OFFICIAL_BASES, "convictions or offences")


def _needs_basis(facts: ComplianceFacts, scope: dict[str, Any], wanted: set[str], what: str) -> Result:
    def wrong(name: str) -> str:
        other = sorted(_bases(facts, name) - wanted)
        if other:
            return f"it holds {what} and is processed on {', '.join(other)}"
        return "" if _bases(facts, name) else f"it holds {what} and has no basis at all"

    return _each(facts.in_scope(scope), wrong)


def _bases(facts: ComplianceFacts, name: str) -> set[str]:
    return {entry.basis for entry in facts.declared.processing.values() if name in entry.datasets}


@check
def register_names(facts: ComplianceFacts, field: str) -> Result:
    """Each processing fills in a field of the register."""
    entries = facts.declared.processing
    return _each(entries, lambda name: "" if getattr(entries[name], field) else f"it names no {field}")


@check
def register_categories(facts: ComplianceFacts) -> Result:
    """Each processing names categories, or its datasets do."""
    entries = facts.declared.processing
    return _each(entries, lambda name: "" if registering.categories_of(facts.declared, entries[name]) else "no category of personal data is named, and none of its datasets declares any")  # fmt: skip


@check
def register_limits(facts: ComplianceFacts) -> Result:
    """Each processing has a time limit, or all its datasets do."""
    entries, datasets = facts.declared.processing, facts.declared.datasets
    return _each(entries, lambda name: "" if entries[name].retention_days or all(datasets[one].retention_days for one in entries[name].datasets) else "no time limit for erasure")  # fmt: skip


@check
def has_owner(facts: ComplianceFacts) -> Result:
    """Somebody answers for each dataset."""
    return _each(facts.personal(), lambda name: "" if facts.declared.datasets[name].owner else "nobody is named who answers for it")  # fmt: skip


@check
def location_allowed(facts: ComplianceFacts) -> Result:
    """Each dataset lies where its processing allows."""

    def unseen(name: str) -> str:
        return "" if facts.declared.datasets[name].location else "it is not said where it lies (location)"

    def wrong(name: str) -> str:
        allowed = {
            place
            for entry in facts.declared.processing.values()
            if name in entry.datasets
            for place in entry.locations
        }
        where = facts.declared.datasets[name].location
        return (
            f"it lies in {where}; allowed: {', '.join(sorted(allowed))}"
            if allowed and where not in allowed
            else ""
        )

    return _each(facts.personal(), wrong, unseen)  # fmt: skip


@check
def transfer_guarded(facts: ComplianceFacts) -> Result:
    """Transfers, and places outside the European Economic Area that are not found adequate, have a safeguard."""
    gaps = {
        one.subject: one.what for one in registering.gaps(facts.declared) if one.rule == "transfer-unguarded"
    }
    unknown = {one.subject: f"it lies in {facts.declared.datasets[one.subject].location!r}, which is no country's code" for one in registering.gaps(facts.declared) if one.rule == "place-unknown"}  # fmt: skip
    abroad = [name for name, one in facts.personal().items() if one.location and one.location.strip().upper() not in registering.EEA]  # fmt: skip
    sending = [name for name, entry in facts.declared.processing.items() if entry.transfers]
    return _each(
        dict.fromkeys([*abroad, *sending]),
        lambda name: gaps.get(name, ""),
        lambda name: unknown.get(name, ""),
    )


# -- what is kept ------------------------------------------------------------------------------------------------------------------------


@check
def columns_classified(facts: ComplianceFacts) -> Result:
    """Each column of a personal dataset has a category, or was found not to be personal."""

    def wrong(name: str) -> str:
        one = facts.declared.datasets[name]
        structural = {one.subject_key, one.retention_column}
        left = [
            column
            for column in facts.columns[name]
            if column not in one.personal and column not in structural
        ]
        return (
            f"{len(left)} of {len(facts.columns[name])} columns: {', '.join(left[:NAMED])}{', ...' if len(left) > NAMED else ''}"
            if left
            else ""
        )

    return _each(facts.personal(), wrong, lambda name: facts.not_seen.get(name, ""))


@check
def has_retention(facts: ComplianceFacts, **scope: Any) -> Result:
    """Each dataset has a time limit, of its own or of its processing."""

    def wrong(name: str) -> str:
        entries = [entry for entry in facts.declared.processing.values() if name in entry.datasets]
        limited = facts.declared.datasets[name].retention_days or any(
            entry.retention_days for entry in entries
        )
        return "" if limited else "it has no retention_days, nor has its processing"

    return _each(facts.in_scope(scope), wrong)


@check
def retention_applied(facts: ComplianceFacts, **scope: Any) -> Result:
    """No row is older than its dataset's time limit."""
    aged = {one.dataset: one for one in facts.retention.aged}
    entries = facts.declared.processing.values()
    by_processing = {name: entry.retention_days for entry in entries if entry.retention_days for name in entry.datasets if name not in aged}  # fmt: skip
    return _each(
        [name for name in facts.in_scope(scope) if name in aged or name in by_processing],
        lambda name: f"{aged[name].rows:,} rows are from before {aged[name].store.match.before}" if aged[name].rows else "",
        lambda name: aged[name].left_alone if name in aged else f"its processing limits it to {by_processing[name]} days, and no retention_days and retention_column of its own say how old a row is",
    )  # fmt: skip


@check
def absent(facts: ComplianceFacts, **scope: Any) -> Result:
    """No dataset holds columns of a kind, nor does any other table of its databases, as far as names of columns tell."""
    places = {**{name: facts.columns.get(name, ()) for name in facts.declared.datasets}, **facts.elsewhere}

    def wrong(name: str) -> str:
        one = facts.declared.datasets.get(name)
        if one and (declared := facts.columns_of(one, scope)):
            return f"it holds {', '.join(declared)}"
        looked_at = one.personal if one else {}
        alike = [c for c in facts.by_name(places[name], scope) if c not in looked_at]
        return f"{', '.join(alike[:NAMED])}: of that kind by the name, and not declared" if alike else ""

    def unseen(name: str) -> str:
        if name in facts.in_scope(scope) or places[name]:
            return ""
        return facts.not_seen.get(name, "its columns are not known: lines of text or JSON")

    return _each(places, wrong, unseen)


@check
def no_clear_numbers(facts: ComplianceFacts, category: str, format: str) -> Result:  # noqa: A002 - as packs call it
    """No value of a column passes for a number in clear: some thousand of each column are tried."""
    del category, format
    found = facts.clear_numbers
    return _each(
        found,
        lambda place: f"{found[place]['clear']:,} of {found[place]['checked']:,} values tried are clear card numbers" if found[place].get("clear") else "",
        lambda place: str(found[place].get("why_not", "")),
    )  # fmt: skip


@check
def lineage_known(facts: ComplianceFacts) -> Result:
    """Personal data without a subject of its own says what it is made of."""
    bare = {name: one for name, one in facts.personal().items() if one.subject is None}
    return _each(bare, lambda name: "" if bare[name].derived_from else "neither a subject nor what it is derived from is named")  # fmt: skip


@check
def subject_reachable(facts: ComplianceFacts) -> Result:
    """A subject's rows can be found in each of its datasets."""
    return _reachable(facts, erased=False)


@check
def erasable(facts: ComplianceFacts) -> Result:
    """A subject's rows can be erased from each of its datasets."""
    return _reachable(facts, erased=True)


def _reachable(facts: ComplianceFacts, *, erased: bool) -> Result:
    passed: set[str] = set()
    failing: dict[str, str] = {}
    not_run: dict[str, str] = {}
    for found in facts.places.values():
        for one in found.unreached:
            (not_run if "does not answer" in one.why else failing)[one.dataset] = one.why
        for place in found.places:
            if erased and place.kind not in WRITTEN and place.store.mode != "keep":
                failing[place.name] = f"Datareeve only reads {place.system} ({place.kind})"
            else:
                passed.add(place.name)
    nobody = [name for name, one in facts.personal().items() if one.subject is None and name not in passed | failing.keys() | not_run.keys()]  # fmt: skip
    failing |= dict.fromkeys(nobody, "it holds personal data of no subject that is named")
    return Result(passed=tuple(sorted(passed)), failing=failing, not_run=not_run)


@check
def kept_for_a_law(facts: ComplianceFacts) -> Result:
    """What an erasure passes by says for which law; also tables that nobody declared, and that refer to a subject's rows."""
    kept = {name: one.kept_because for name, one in facts.declared.datasets.items() if one.erasure == "keep"}
    bare = [place for found in facts.places.values() for place in found.places if not place.declared and place.store.mode == "keep"]  # fmt: skip
    kept |= {place.name: "" for place in bare}
    return _each(kept, lambda name: "" if kept[name] else "an erasure would leave its rows, and no dataset says why")  # fmt: skip


# -- how it is guarded ---------------------------------------------------------------------------------------------------------------


@check
def encrypted(facts: ComplianceFacts, by: str = "", **scope: Any) -> Result:
    """Each dataset is declared to be encrypted (that cannot be seen from within)."""
    wanted = {by} if by else GUARDED

    def wrong(name: str) -> str:
        how = facts.declared.datasets[name].encrypted
        return f"it is declared {how or 'not at all'}" if how is not None and how not in wanted else ""

    def unseen(name: str) -> str:
        return "" if facts.declared.datasets[name].encrypted else "datasets.*.encrypted does not say"

    return _each(facts.in_scope(scope), wrong, unseen)


@check
def closed_to_public(facts: ComplianceFacts, **scope: Any) -> Result:
    """PUBLIC has no right on a dataset, and not every account of the machine on its files."""
    files = {one.dataset: one for one in facts.access.files}

    def wrong(name: str) -> str:
        if name in files:
            return files[name].open_to_all()
        one = facts.access_to(name)
        rights = one.public.get(name, ()) if one else ()
        return f"PUBLIC may {', '.join(rights)}" if rights else ""

    return _each(facts.in_scope(scope), wrong, lambda name: "" if name in files else _no_access(facts, name))


@check
def guarded(facts: ComplianceFacts, **scope: Any) -> Result:
    """Datasets with data of a kind are encrypted and closed to PUBLIC."""
    secret, closed = encrypted(facts, **scope), closed_to_public(facts, **scope)
    not_run = {**closed.not_run, **secret.not_run}
    failing = {**closed.failing, **secret.failing}
    passed = [name for name in facts.in_scope(scope) if name not in failing and name not in not_run]
    return Result(passed=tuple(passed), failing=failing, not_run={n: why for n, why in not_run.items() if n not in failing})  # fmt: skip


@check
def few_readers(facts: ComplianceFacts, most: int, **scope: Any) -> Result:
    """Not more than some roles can log in and read a dataset."""

    def wrong(name: str) -> str:
        one = facts.access_to(name)
        readers = one.readers(name) if one else ()
        return (
            f"{len(readers)} roles can log in and read it: {', '.join(readers)}"
            if len(readers) > most
            else ""
        )

    return _each(facts.in_scope(scope), wrong, lambda name: _no_access(facts, name))


def _no_access(facts: ComplianceFacts, name: str) -> str:
    if (found := facts.access_to(name)) is not None:
        return "" if found.sees_all else OWN_RIGHTS
    system = facts.declared.datasets[name].system
    return facts.access.not_looked.get(system) or facts.not_seen.get(
        name, f"access to {system} was not looked at"
    )


@check
def transmission_encrypted(facts: ComplianceFacts, **scope: Any) -> Result:
    """Nobody reaches personal data from another machine without TLS."""

    def wrong(one: SystemAccess) -> str:
        lines = [line for line in one.hba or () if line["type"] in ("host", "hostnossl") and not is_local(line["address"]) and line["method"] != "reject"]  # fmt: skip
        if lines:
            return f"pg_hba.conf line {lines[0]['line']} lets in without TLS from {lines[0]['address'] or 'elsewhere'}"
        if one.kind == "mysql":
            return "" if one.server.get("requires_tls") else "require_secure_transport is off"
        return ""

    def unseen(one: SystemAccess) -> str:
        return "pg_hba_file_rules may not be read" if one.kind == "postgresql" and one.hba is None else "" if one.server else "its settings may not be read"  # fmt: skip

    return _servers(facts, wrong, unseen, scope)


@check
def checksums(facts: ComplianceFacts) -> Result:
    """Pages have checksums."""
    return _servers(facts, lambda one: "" if one.server["checksums"] else "data_checksums is off", _settings)


@check
def strong_passwords(facts: ComplianceFacts) -> Result:
    """Passwords are kept as SCRAM."""

    def wrong(one: SystemAccess) -> str:
        if one.server["password_encryption"] != "scram-sha-256":  # noqa: S105 - a setting
            return "password_encryption is not scram-sha-256"
        return f"{one.md5} passwords are kept as MD5" if one.md5 else ""

    return _servers(facts, wrong, lambda one: _settings(one) or ("pg_authid may not be read" if one.md5 is None else ""))  # fmt: skip


@check
def strong_login(facts: ComplianceFacts) -> Result:
    """No way in asks for less than a password under SCRAM, or a certificate. Where passwords are SCRAM's, `md5` asks for that."""

    def weak(one: SystemAccess) -> list[dict[str, Any]]:
        methods = {"trust", "password", "ident", *(["md5"] if one.md5 else [])}
        return [line for line in one.hba or () if line["method"] in methods and (line["type"] != "local" or line["method"] == "trust")]  # fmt: skip

    def wrong(one: SystemAccess) -> str:
        return "".join(f"pg_hba.conf line {line['line']} takes {line['method']} from {'every account of the machine' if line['type'] == 'local' else line['address'] or 'elsewhere'}" for line in weak(one)[:1])  # fmt: skip

    def unseen(one: SystemAccess) -> str:
        if one.hba is None:
            return "pg_hba_file_rules may not be read"
        unclear = one.md5 is None and any(line["method"] == "md5" for line in one.hba)
        return "pg_authid may not be read: whether md5 in pg_hba.conf asks for SCRAM is not known" if unclear and not weak(one) else ""  # fmt: skip

    return _servers(facts, wrong, unseen, only="postgresql")


@check
def passwords_expire(facts: ComplianceFacts) -> Result:
    """Roles that read personal data have an end to their password."""

    def wrong(one: SystemAccess) -> str:
        touching = {right.role for right in one.rights}
        forever = [role.name for role in one.roles if role.login and role.name in touching and role.valid_until in (None, "infinity")]  # fmt: skip
        return f"{len(forever)} roles: {', '.join(forever[:NAMED])}" if forever else ""

    return _servers(facts, wrong, only="postgresql")


@check
def no_shared_accounts(facts: ComplianceFacts) -> Result:
    """No role is logged in from several addresses at once."""

    def wrong(one: SystemAccess) -> str:
        shared = [f"{role.name} ({role.addresses})" for role in one.roles if role.addresses > 1]
        return f"logged in from several addresses: {', '.join(shared)}" if shared else ""

    def unseen(one: SystemAccess) -> str:
        return "" if any(role.addresses for role in one.roles) else "nobody is logged in over the network now"

    return _servers(facts, wrong, unseen, only="postgresql")


@check
def connections_logged(facts: ComplianceFacts) -> Result:
    """Who connects is logged."""

    def wrong(one: SystemAccess) -> str:
        off = [name for name in ("log_connections", "log_disconnections") if one.server[name] in ("off", "")]
        return f"{' and '.join(off)} {'is' if len(off) == 1 else 'are'} off" if off else ""

    return _servers(facts, wrong, _settings)


@check
def access_audited(facts: ComplianceFacts) -> Result:
    """Reads of cardholder data are logged."""

    def wrong(one: SystemAccess) -> str:
        return "" if one.server["audits"] or one.server["log_statement"] == "all" else "neither pgaudit nor log_statement = all"  # fmt: skip

    return _servers(facts, wrong, _settings, {"pci": "cardholder data"})


def _settings(one: SystemAccess) -> str:
    if one.kind != "postgresql":
        return f"not looked at on {one.kind}"
    return "" if one.server else "its settings may not be read"


def _servers(
    facts: ComplianceFacts,
    wrong: Callable[[SystemAccess], str],
    unseen: Callable[[SystemAccess], str] = lambda _: "",
    scope: dict[str, Any] | None = None,
    only: str = "",
) -> Result:
    used = {one.system for one in facts.in_scope(scope or {}).values()}
    servers = {one.system: one for one in facts.access.systems if one.system in used}
    down = {name: why for name, why in facts.access.not_looked.items() if name in used and facts.kinds.get(name) in ("postgresql", "mysql")}  # fmt: skip
    found = _each(servers, lambda name: wrong(servers[name]), lambda name: f"not looked at on {servers[name].kind}" if only and servers[name].kind != only else unseen(servers[name]))  # fmt: skip
    return found.model_copy(update={"not_run": {**found.not_run, **down}})


# -- what is done -----------------------------------------------------------------------------------------------------------------------


@check
def backed_up(facts: ComplianceFacts) -> Result:
    """There is a base backup, no older than the estate's target."""

    def wrong(name: str) -> str:
        hours = facts.backups[name].newest_hours
        if hours is None:
            return "no base backup is in the catalogue"
        return f"the newest is {hours:.0f} hours old" if hours > facts.backup_hours else ""

    return _each(facts.backups, wrong, lambda name: facts.backups[name].why_not)


@check
def restore_tested(facts: ComplianceFacts, days: float) -> Result:
    """A restore drill has passed lately."""

    def wrong(name: str) -> str:
        since = facts.backups[name].drilled_days
        if since is None:
            return "no restore drill has passed"
        return f"the last drill that passed is {since:.0f} days old" if since > days else ""

    return _each(facts.backups, wrong, lambda name: facts.backups[name].why_not)


@check
def reviewed(facts: ComplianceFacts, days: float) -> Result:
    """Access was reviewed lately, as the ledger tells."""
    if facts.reviewed_days is None:
        return Result(failing={"access": "no review of all access is in the ledger"})
    if facts.reviewed_days > days:
        return Result(failing={"access": f"the last access review is {facts.reviewed_days:.0f} days old"})
    return Result(passed=("access",))


@check
def incidents_told(facts: ComplianceFacts) -> Result:
    """Somebody is told of security incidents or compliance violations."""
    wanted = {"security-incident", "compliance-violation"}
    if wanted & set(facts.told):
        return Result(passed=("alerts",))
    return Result(
        failing={
            "alerts": "no alert that names somebody escalates as a security incident or a compliance violation"
        }
    )


@check
def cannot_tell(facts: ComplianceFacts, why: str) -> Result:
    """What no look at the estate can tell: said, and never passed."""
    del facts
    return Result(not_run={"estate": why})
