"""Who can read and write personal data: roles, what they may, by which way; and how the way there is guarded.

PostgreSQL: rights of a role are its own, those of the roles it is in, PUBLIC's, an owner's, a superuser's, those of pg_read_all_data. MariaDB and
MySQL: of the account, at the level of the server, the database, the table or the column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.quality.compliance.looking import surroundings
from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Finding, Severity
from datareeve.core.value import Value
from datareeve.systems.subject_tables import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datareeve.core.estate_data import DataSettings
    from datareeve.core.operation import Reader, Systems

MANY = 5  # roles that can log in and read, beyond which somebody should say why

PG_ROLES = """
SELECT r.rolname AS role, r.rolcanlogin AS login, r.rolsuper AS superuser, r.rolbypassrls AS bypass, r.rolcreaterole AS creates_roles, r.rolvaliduntil::text AS valid_until,
       r.rolconnlimit AS connections, pg_has_role(r.oid, 'pg_read_all_data', 'MEMBER') AS reads_all, pg_has_role(r.oid, 'pg_write_all_data', 'MEMBER') AS writes_all,
       ARRAY(SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1)::text[] AS member_of,
       (SELECT max(backend_start)::text FROM pg_stat_activity a WHERE a.usename = r.rolname) AS here_since,
       (SELECT count(DISTINCT client_addr)::int FROM pg_stat_activity a WHERE a.usename = r.rolname) AS addresses
  FROM pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1
"""
PG_RIGHTS = """
SELECT r.rolname AS role, t.name AS dataset, c.relname AS table_name, pg_get_userbyid(c.relowner) AS owner, c.relrowsecurity AS row_security,
       has_schema_privilege(r.oid, c.relnamespace, 'USAGE') AND (has_table_privilege(r.oid, c.oid, 'SELECT') OR EXISTS (SELECT FROM unnest(t.columns) AS n WHERE has_column_privilege(r.oid, c.oid, n, 'SELECT'))) AS reads,
       has_schema_privilege(r.oid, c.relnamespace, 'USAGE') AND (has_table_privilege(r.oid, c.oid, 'INSERT') OR has_table_privilege(r.oid, c.oid, 'UPDATE') OR has_table_privilege(r.oid, c.oid, 'DELETE')) AS writes
  FROM (SELECT * FROM jsonb_to_recordset(%(tables)s::jsonb) AS x(name text, source text, columns text[])) AS t
  JOIN pg_class c ON c.oid = to_regclass(t.source) CROSS JOIN pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1, 2
"""
PG_PUBLIC = """
SELECT t.name AS dataset, array_agg(DISTINCT a.privilege_type ORDER BY a.privilege_type)::text[] AS rights
  FROM (SELECT * FROM jsonb_to_recordset(%(tables)s::jsonb) AS x(name text, source text, columns text[])) AS t
  JOIN pg_class c ON c.oid = to_regclass(t.source) JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (
    SELECT privilege_type FROM aclexplode(c.relacl) WHERE grantee = 0
    UNION ALL SELECT e.privilege_type FROM pg_attribute p CROSS JOIN LATERAL aclexplode(p.attacl) e WHERE p.attrelid = c.oid AND p.attname = ANY (t.columns) AND e.grantee = 0) a
 GROUP BY 1 ORDER BY 1
"""
PG_DEFAULTS = """
SELECT coalesce(n.nspname, 'every schema') AS place, pg_get_userbyid(d.defaclrole) AS owner, array_agg(DISTINCT a.privilege_type ORDER BY a.privilege_type)::text[] AS rights
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace CROSS JOIN LATERAL aclexplode(d.defaclacl) a
 WHERE a.grantee = 0 AND d.defaclobjtype = 'r' GROUP BY 1, 2 ORDER BY 1, 2
"""
PG_SERVER = """
SELECT current_setting('ssl') = 'on' AS tls, current_setting('password_encryption') AS password_encryption, current_setting('data_checksums') = 'on' AS checksums,
       current_setting('listen_addresses') AS listens, current_setting('log_connections') AS log_connections, current_setting('log_disconnections') AS log_disconnections,
       current_setting('log_statement') AS log_statement, current_setting('ssl_min_protocol_version') AS tls_oldest,
       current_setting('shared_preload_libraries') LIKE '%pgaudit%' AS audits, current_setting('logging_collector') AS log_collector, current_setting('log_destination') AS log_destination
"""
PG_HBA = """
SELECT line_number AS line, type, coalesce(address, '') AS address, auth_method AS method FROM pg_hba_file_rules WHERE error IS NULL ORDER BY 1
"""
PG_HASHES = "SELECT count(*)::int FROM pg_authid WHERE rolpassword LIKE 'md5%'"
MYSQL_RIGHTS = """
SELECT GRANTEE AS role, 'server' AS level, '' AS table_name, PRIVILEGE_TYPE AS privilege FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'SUPER')
UNION ALL SELECT GRANTEE, 'database', '', PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES WHERE DATABASE() LIKE TABLE_SCHEMA AND PRIVILEGE_TYPE IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
UNION ALL SELECT GRANTEE, 'table', TABLE_NAME, PRIVILEGE_TYPE FROM information_schema.TABLE_PRIVILEGES WHERE TABLE_SCHEMA = DATABASE() AND PRIVILEGE_TYPE IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
UNION ALL SELECT GRANTEE, 'column', TABLE_NAME, PRIVILEGE_TYPE FROM information_schema.COLUMN_PRIVILEGES WHERE TABLE_SCHEMA = DATABASE() AND PRIVILEGE_TYPE IN ('SELECT', 'INSERT', 'UPDATE')
"""
MYSQL_SERVER = "SELECT @@have_ssl = 'YES' AS tls, @@require_secure_transport AS requires_tls, @@general_log AS general_log, @@bind_address AS listens"


class Right(Value):
    """A role's rights on one dataset."""

    role: str
    dataset: str
    reads: bool
    writes: bool
    way: str  # owner, superuser, public, pg_read_all_data, granted


class Role(Value):
    """Somebody who can be somebody on a server."""

    name: str
    login: bool
    superuser: bool = False
    bypass: bool = False
    creates_roles: bool = False
    valid_until: str | None = None
    member_of: tuple[str, ...] = ()
    here_since: str | None = None
    addresses: int = 0


class SystemAccess(Value):
    """Who can get at the personal data of one system."""

    system: str
    kind: str
    roles: tuple[Role, ...] = ()
    rights: tuple[Right, ...] = ()
    public: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # dataset: what PUBLIC may
    defaults: tuple[str, ...] = ()  # where PUBLIC will have rights on tables that are made
    server: dict[str, Any] = Field(default_factory=dict)
    hba: tuple[dict[str, Any], ...] | None = None  # None: not to be read
    md5: int | None = None  # passwords kept as MD5; None: not to be read
    datasets: tuple[str, ...] = ()
    not_seen: tuple[str, ...] = ()
    sees_all: bool = True  # does our account see the rights of others?
    here: bool = False  # reached over a socket or the loopback: no remote listens

    def readers(self, dataset: str) -> tuple[str, ...]:
        """Roles that can log in and read it."""
        logins = {role.name for role in self.roles if role.login}
        return tuple(
            sorted({r.role for r in self.rights if r.dataset == dataset and r.reads and r.role in logins})
        )


class AccessFacts(Value):
    """Every system with personal data."""

    systems: tuple[SystemAccess, ...] = ()
    not_looked: dict[str, str] = Field(default_factory=dict)


def look(systems: Systems, declared: DataSettings) -> AccessFacts:
    """Who can get at the datasets with personal data. Changes nothing and reads no row."""
    personal = {name: one for name, one in declared.datasets.items() if one.subject or any(c != "no" for c in one.personal.values())}  # fmt: skip
    seen = surroundings(systems, declared.model_copy(update={"datasets": personal}))
    found, left = [], dict(seen.down)
    for system, kind in seen.kinds.items():
        if system in seen.down:
            continue
        tables = {
            name: (
                seen.tables[system][table],
                [c for c, category in one.personal.items() if category != "no"],
            )
            for name, one in personal.items()
            if one.system == system
            and system in seen.tables
            and (table := named(seen.tables[system], one.table, kind))
        }
        if kind == "postgresql":
            found.append(_postgresql(systems[system], tables))
        elif kind == "mysql":
            found.append(_mysql(systems[system], {name: one.table.rpartition(".")[2] for name, one in personal.items() if one.system == system}))  # fmt: skip
        else:
            left[system] = f"{kind} keeps no roles: who can open its files can read it all"
    return AccessFacts(systems=tuple(found), not_looked=left)


def _postgresql(reader: Reader, tables: dict[str, tuple[dict[str, Any], list[str]]]) -> SystemAccess:
    import json  # noqa: PLC0415 - the tables as one parameter

    asked = {"tables": json.dumps([{"name": name, "source": about["source"].replace("%%", "%"), "columns": columns} for name, (about, columns) in tables.items()])}  # fmt: skip
    roles = {row["role"]: row for row in reader.read("query", sql=PG_ROLES)}
    public = {
        row["dataset"]: tuple(row["rights"]) for row in reader.read("query", sql=PG_PUBLIC, parameters=asked)
    }
    rights = reader.read("query", sql=PG_RIGHTS, parameters=asked)
    hba, unseen_hba = _asked(reader, PG_HBA, "pg_hba_file_rules (who may connect from where)")
    md5, unseen_md5 = _asked(reader, PG_HASHES, "pg_authid (how passwords are kept)")
    server, unseen = _asked(reader, PG_SERVER, "the server's settings")
    return SystemAccess(
        system=reader.name,
        kind="postgresql",
        roles=tuple(_role(row) for row in roles.values()),
        rights=tuple(Right(role=r["role"], dataset=r["dataset"], reads=r["reads"], writes=r["writes"], way=_way(r, roles[r["role"]], public)) for r in rights if r["reads"] or r["writes"]),
        public=public,
        defaults=tuple(f"{row['place']} (tables of {row['owner']}): {', '.join(row['rights'])}" for row in reader.read("query", sql=PG_DEFAULTS)),
        server=server[0] if server else {},
        hba=None if hba is None else tuple(hba),
        md5=None if md5 is None else next(iter(md5[0].values())),
        datasets=tuple(tables),
        not_seen=tuple(one for one in (unseen_hba, unseen_md5, unseen) if one),
    )  # fmt: skip


def _asked(reader: Reader, sql: str, what: str) -> tuple[list[dict[str, Any]] | None, str]:
    try:
        return reader.read("query", sql=sql), ""
    except DatareeveError as error:
        return None, f"{what}: {error.what}"


def _role(row: dict[str, Any]) -> Role:
    return Role(name=row["role"], **{key: row[key] for key in ("login", "superuser", "bypass", "creates_roles", "valid_until", "here_since", "addresses")}, member_of=tuple(row["member_of"]))  # fmt: skip


def _way(right: dict[str, Any], role: dict[str, Any], public: dict[str, tuple[str, ...]]) -> str:
    if role["superuser"]:
        return "superuser"
    if right["role"] == right["owner"]:
        return "owner"
    if role["reads_all"]:
        return "pg_read_all_data"
    if role["writes_all"] and not right["reads"]:
        return "pg_write_all_data"
    return "public" if right["dataset"] in public else "granted"


def _mysql(reader: Reader, tables: dict[str, str]) -> SystemAccess:
    rows, unseen = _asked(reader, MYSQL_RIGHTS, "information_schema's privileges")
    server, unseen_server = _asked(reader, MYSQL_SERVER, "the server's settings")
    sees_all = _asked(reader, "SELECT count(*) AS n FROM mysql.user", "mysql.user")[0] is not None
    roles: dict[str, dict[str, set[str]]] = {}
    for row in rows or ():
        level = row["table_name"] or row["level"]
        roles.setdefault(row["role"], {}).setdefault(level, set()).add(row["privilege"])
    rights = tuple(_mysql_rights(roles, tables))
    return SystemAccess(
        system=reader.name,
        kind="mysql",
        sees_all=sees_all,
        public=_open_to_all(rights),
        roles=tuple(Role(name=name, login=True, superuser="SUPER" in rights.get("server", ())) for name, rights in roles.items()),
        rights=rights,
        server=server[0] if server else {},
        datasets=tuple(tables),
        not_seen=(*(one for one in (unseen, unseen_server) if one), *(() if sees_all else ("an account sees only its own rights, unless it may read the mysql database",))),
    )  # fmt: skip


def _open_to_all(rights: Iterable[Right]) -> dict[str, tuple[str, ...]]:
    """What everybody may: the accounts without a name, and PUBLIC of MariaDB."""
    found: dict[str, set[str]] = {}
    for right in rights:
        if right.role.partition("@")[0].strip("'").upper() in ("", "PUBLIC"):
            may = (["SELECT"] if right.reads else []) + (["write"] if right.writes else [])
            found.setdefault(right.dataset, set()).update(may)
    return {dataset: tuple(sorted(may)) for dataset, may in found.items()}


def _mysql_rights(roles: dict[str, dict[str, set[str]]], tables: dict[str, str]) -> Iterator[Right]:
    for role, rights in roles.items():
        for dataset, table in tables.items():
            granted = rights.get("server", set()) | rights.get("database", set()) | rights.get(table, set())
            if granted & {"SELECT", "INSERT", "UPDATE", "DELETE"}:
                way = "superuser" if "SUPER" in granted else "granted"
                yield Right(role=role, dataset=dataset, reads="SELECT" in granted, writes=bool(granted - {"SELECT", "SUPER"}), way=way)  # fmt: skip


# -- what is noticed --------------------------------------------------------------------------------------------------------------------


def findings(facts: AccessFacts) -> tuple[Finding, ...]:
    """What somebody should look at, worst first within a system."""
    return tuple(finding for system in facts.systems for finding in (*_roles(system), *_way_in(system), *_kept(system)))  # fmt: skip


def _roles(one: SystemAccess) -> Iterator[Finding]:
    for dataset, rights in one.public.items():
        yield _finding("public-can-read", f"{one.system}: {dataset}", f"PUBLIC, that is every role, may {', '.join(rights)} on {dataset}.", "REVOKE ALL ON that table FROM PUBLIC, and grant it to those who need it.", Severity.CRITICAL)  # fmt: skip
    for place in one.defaults:
        yield _finding("public-by-default", one.system, f"Tables made later in {place} will be open to PUBLIC.", "ALTER DEFAULT PRIVILEGES ... REVOKE ... FROM PUBLIC.")  # fmt: skip
    logins = {role.name: role for role in one.roles if role.login}
    supers = sorted(role.name for role in logins.values() if role.superuser)
    if len(supers) > 1:
        yield _finding("superusers", one.system, f"{len(supers)} roles that can log in are superusers: {', '.join(supers)}. Nothing is closed to them.", "Keep one for emergencies; give others the predefined roles they need.")  # fmt: skip
    touching = {right.role for right in one.rights}
    for name in sorted(touching & logins.keys()):
        yield from _login(one, logins[name])
    for dataset in one.datasets:
        if len(readers := one.readers(dataset)) > MANY:
            yield _finding("many-readers", f"{one.system}: {dataset}", f"{len(readers)} roles can log in and read {dataset}: {', '.join(readers)}.", "Ask of each what for.")  # fmt: skip


def _login(one: SystemAccess, role: Role) -> Iterator[Finding]:
    if one.kind == "postgresql" and role.valid_until in (None, "infinity") and not role.superuser:
        yield _finding("password-never-expires", f"{one.system}: {role.name}", f"{role.name} reads or writes personal data, and its password never expires.", f"ALTER ROLE \"{role.name}\" VALID UNTIL '…', or log in by certificate.", Severity.INFO)  # fmt: skip
    if role.bypass and not role.superuser:
        yield _finding("bypasses-row-security", f"{one.system}: {role.name}", f"{role.name} passes every row security policy (BYPASSRLS).", f'ALTER ROLE "{role.name}" NOBYPASSRLS.')  # fmt: skip
    if role.addresses > 1:
        yield _finding("shared-account", f"{one.system}: {role.name}", f"{role.name} is logged in from {role.addresses} addresses at once: an account of several people or machines tells nobody apart.", "Give each its own role.", Severity.INFO)  # fmt: skip


def _way_in(one: SystemAccess) -> Iterator[Finding]:
    if one.kind == "postgresql":
        for line in one.hba or ():
            if (
                line["type"] in ("host", "hostnossl")
                and not is_local(line["address"])
                and line["method"] != "reject"
            ):
                yield _finding("plain-text-allowed", f"{one.system}: pg_hba.conf line {line['line']}", f"Connections from {line['address'] or 'elsewhere'} may come without TLS.", "Write hostssl in place of host.", Severity.CRITICAL)  # fmt: skip
            if (
                line["method"] in ("trust", "password", "ident")
                and not is_local(line["address"])
                and line["type"] != "local"
            ):
                yield _finding("weak-login", f"{one.system}: pg_hba.conf line {line['line']}", f"{line['method']} lets in from {line['address'] or 'elsewhere'} {'anybody' if line['method'] == 'trust' else 'on a password in clear text'}.", "Use scram-sha-256 or cert.", Severity.CRITICAL)  # fmt: skip
        if one.md5:
            yield _finding("md5-passwords", one.system, f"{one.md5} passwords are kept as MD5, which is no protection.", "Set password_encryption = scram-sha-256, and set them again.")  # fmt: skip
    if one.server and not one.server.get("tls"):
        yield _finding("no-tls", one.system, f"{one.system} takes no TLS connections at all.", "Give it a certificate and ssl = on.")  # fmt: skip


def _kept(one: SystemAccess) -> Iterator[Finding]:
    if one.kind == "postgresql" and one.server and not one.server["checksums"]:
        yield _finding("no-checksums", one.system, "Pages have no checksums: a damaged disk changes data silently (integrity, article 32(1)(b)).", "pg_checksums --enable, while the server is down.", Severity.INFO)  # fmt: skip
    for what in one.not_seen:
        yield _finding("access-not-seen", one.system, f"Not looked at: {what}.", "Let the review run as a role that may (pg_monitor does not do for pg_authid).", Severity.INFO)  # fmt: skip


def is_local(address: str) -> bool:
    """Whether connections from there stay on the machine."""
    return address in ("127.0.0.1", "::1", "samehost", "localhost") or address.startswith("127.")


def matrix(facts: AccessFacts) -> list[dict[str, Any]]:
    """Who can do what, for the report: system, dataset, role, way, reads, writes."""
    return [{"system": one.system, **right.model_dump()} for one in facts.systems for right in one.rights]


def _finding(rule: str, subject: str, what: str, instead: str, severity: Severity = Severity.WARNING) -> Finding:  # fmt: skip
    return Finding(rule=rule, subject=subject, what=what, instead=instead, severity=severity)


def unused(facts: AccessFacts) -> Iterable[str]:
    """Roles with rights that have no member and cannot log in: grants to nobody."""
    for one in facts.systems:
        members = {group for role in one.roles for group in role.member_of}
        for role in one.roles:
            if (
                not role.login
                and role.name not in members
                and any(right.role == role.name for right in one.rights)
            ):
                yield f"{one.system}: {role.name}"
