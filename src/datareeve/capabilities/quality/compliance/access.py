"""Who can read and write personal data: roles, what they may, by which way; and how the way there is guarded.

PostgreSQL: rights of a role are its own, those of the roles it is in, PUBLIC's, an owner's, a superuser's, those of pg_read_all_data. MariaDB and
MySQL: of the account, at the level of the server, the database, the table or the column.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.quality.compliance.declared import personal
from datareeve.capabilities.quality.compliance.looking import surroundings
from datareeve.capabilities.quality.compliance.places import TABLES
from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Finding, Severity
from datareeve.core.value import Value
from datareeve.systems.subject_tables import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datareeve.core.estate_data import Dataset, DataSettings
    from datareeve.core.operation import Reader, Systems

OF_FILES = ("folder", "duckdb", "sqlite")
MANY = 5  # roles that can log in and read, beyond which somebody should say why

PG_ROLES = """
SELECT r.rolname AS role, r.rolcanlogin AS login, r.rolsuper AS superuser, r.rolbypassrls AS bypass, r.rolcreaterole AS creates_roles, r.rolvaliduntil::text AS valid_until,
       r.rolconnlimit AS connections, pg_has_role(r.oid, 'pg_read_all_data', 'MEMBER') AS reads_all, pg_has_role(r.oid, 'pg_write_all_data', 'MEMBER') AS writes_all,
       ARRAY(SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1)::text[] AS member_of,
       (SELECT max(backend_start)::text FROM pg_stat_activity a WHERE a.usename = r.rolname) AS here_since,
       (SELECT count(DISTINCT client_addr)::int FROM pg_stat_activity a WHERE a.usename = r.rolname) AS addresses
  FROM pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1
"""
# A dataset's table with what its rows are read by too: partitions, tables that inherit from it, and views that show its personal columns by
# the rights of their owner. `how` is '' for the table itself.
PG_FAMILY = """
WITH RECURSIVE datasets AS (SELECT * FROM jsonb_to_recordset(%(tables)s::jsonb) AS x(name text, source text, columns text[])),
family AS (
  SELECT d.name, d.columns, to_regclass(d.source)::oid AS oid, '' AS how FROM datasets d WHERE to_regclass(d.source) IS NOT NULL
  UNION
  SELECT f.name, f.columns, more.oid, more.how FROM family f CROSS JOIN LATERAL (
    SELECT i.inhrelid, CASE WHEN c.relispartition THEN 'partition' ELSE 'inherits' END FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = f.oid AND c.relkind IN ('r', 'p', 'f')
    UNION ALL
    SELECT r.ev_class, CASE v.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END
      FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
     WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = f.oid AND r.ev_class <> f.oid AND v.relkind IN ('v', 'm')
       AND (cardinality(f.columns) = 0 OR f.how IN ('view', 'materialized view') OR EXISTS (SELECT FROM pg_attribute p WHERE p.attrelid = f.oid AND p.attnum = d.refobjsubid AND p.attname = ANY (f.columns)))
       AND NOT EXISTS (SELECT FROM pg_options_to_table(v.reloptions) WHERE option_name = 'security_invoker' AND option_value IN ('true', 'on', '1', 'yes'))
  ) AS more(oid, how)),
members AS (SELECT f.*, c.relname, c.relnamespace, c.relowner, c.relacl, format('%%I.%%I', n.nspname, c.relname) AS relation, cardinality(f.columns) = 0 OR f.how IN ('view', 'materialized view') AS any_column
              FROM family f JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace)
"""
PG_RIGHTS = (
    PG_FAMILY
    + """,
rights AS (
  SELECT r.rolname AS role, m.name AS dataset, m.how, m.relation, m.relowner = r.oid AS owns,
         has_table_privilege(r.oid, m.oid, 'SELECT') OR CASE WHEN m.any_column THEN has_any_column_privilege(r.oid, m.oid, 'SELECT')
           ELSE EXISTS (SELECT FROM pg_attribute p WHERE p.attrelid = m.oid AND p.attname = ANY (m.columns) AND NOT p.attisdropped AND has_column_privilege(r.oid, m.oid, p.attnum, 'SELECT')) END AS reads,
         has_table_privilege(r.oid, m.oid, 'DELETE') OR has_table_privilege(r.oid, m.oid, 'TRUNCATE') OR has_any_column_privilege(r.oid, m.oid, 'INSERT') OR has_any_column_privilege(r.oid, m.oid, 'UPDATE') AS writes
    FROM members m CROSS JOIN pg_roles r WHERE r.rolname !~ '^pg_' AND has_schema_privilege(r.oid, m.relnamespace, 'USAGE')),
direct AS (SELECT role, dataset, reads, writes FROM rights WHERE how = '')
SELECT r.role, r.dataset, r.how, bool_or(r.owns) AS owns, bool_or(r.reads) AS reads, bool_or(r.writes) AS writes, (array_agg(r.relation ORDER BY r.relation))[1:5] AS relations, count(*)::int AS n
  FROM rights r LEFT JOIN direct d ON d.role = r.role AND d.dataset = r.dataset
 WHERE r.how = '' OR (r.reads AND d.reads IS NOT TRUE) OR (r.writes AND d.writes IS NOT TRUE)
 GROUP BY 1, 2, 3 HAVING bool_or(r.reads) OR bool_or(r.writes) ORDER BY 1, 2, 3
"""
)
PG_PUBLIC = (
    PG_FAMILY
    + """,
open AS (
  SELECT m.name AS dataset, m.how, m.relation, a.privilege_type FROM members m CROSS JOIN LATERAL (
    SELECT privilege_type FROM aclexplode(m.relacl) WHERE grantee = 0
    UNION ALL SELECT e.privilege_type FROM pg_attribute p CROSS JOIN LATERAL aclexplode(p.attacl) e WHERE p.attrelid = m.oid AND (m.any_column OR p.attname = ANY (m.columns)) AND e.grantee = 0) a)
SELECT dataset, how, array_agg(DISTINCT privilege_type ORDER BY privilege_type)::text[] AS rights, (array_agg(DISTINCT relation ORDER BY relation))[1:5] AS relations, count(DISTINCT relation)::int AS n
  FROM open GROUP BY 1, 2 ORDER BY 1, 2
"""
)
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
# Views that read a table by the rights of who made them.
MYSQL_VIEWS = "SELECT TABLE_NAME AS view_name FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE() AND SECURITY_TYPE = 'DEFINER' AND INSTR(VIEW_DEFINITION, %(table)s) > 0 ORDER BY 1"
MYSQL_SERVER = "SELECT @@have_ssl = 'YES' AS tls, @@require_secure_transport AS requires_tls, @@general_log AS general_log, @@bind_address AS listens"


class Right(Value):
    """A role's rights on one dataset."""

    role: str
    dataset: str
    reads: bool
    writes: bool
    way: str  # owner, superuser, public, pg_read_all_data, granted
    through: str = (
        ""  # what it is a right on, where that is not the table itself: 'public.visits_2025 (partition)'
    )


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
    public: dict[str, tuple[str, ...]] = Field(
        default_factory=dict
    )  # dataset: what PUBLIC may: 'SELECT', 'SELECT by public.visits_2025 (partition)'
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


class FileAccess(Value):
    """Whom the permissions of a dataset's files let in."""

    dataset: str
    system: str
    kind: str
    files: int
    owners: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()  # that may read some of them
    all_read: int = 0  # files that every account of the machine may read
    all_write: int = 0

    def open_to_all(self) -> str:
        """What every account of the machine may do, in words; empty where nothing."""
        may = "read and change" if self.all_write and self.all_read else "read" if self.all_read else "change"
        some = max(self.all_read, self.all_write)
        return f"every account of this machine may {may} {some} of {self.files} {'file' if self.files == 1 else 'files'}" if some else ""  # fmt: skip


class AccessFacts(Value):
    """Every system with personal data."""

    systems: tuple[SystemAccess, ...] = ()
    files: tuple[FileAccess, ...] = ()
    not_looked: dict[str, str] = Field(
        default_factory=dict
    )  # system: why it is not known which roles may what
    not_there: dict[str, str] = Field(
        default_factory=dict
    )  # dataset: why nobody's rights on it were looked at
    down: tuple[str, ...] = ()  # systems that did not answer


def look(systems: Systems, declared: DataSettings, wanted: Iterable[str] = ()) -> AccessFacts:
    """Who can get at the datasets with personal data, or at those that are wanted. Changes nothing and reads no row."""
    datasets = {name: declared.datasets[name] for name in wanted} or personal(declared)
    seen = surroundings(
        systems, declared.model_copy(update={"datasets": datasets, "processing": {}, "holds": {}})
    )
    found, left = [], dict(seen.down)
    files: list[FileAccess] = []
    missing = {name: f"the estate has no system {one.system}" for name, one in datasets.items() if one.system not in seen.kinds and one.system not in seen.down}  # fmt: skip
    for system, kind in seen.kinds.items():
        if system in seen.down:
            continue
        own = {name: one for name, one in datasets.items() if one.system == system}
        tables = {name: table for name, one in own.items() if (table := named(seen.tables.get(system, {}), one.table, kind))}  # fmt: skip
        if kind in TABLES:
            missing |= {
                name: f"{system} has no table {one.table}" for name, one in own.items() if name not in tables
            }
        if kind == "postgresql":
            found.append(_postgresql(systems[system], {name: (seen.tables[system][table], _columns(own[name])) for name, table in tables.items()}))  # fmt: skip
        elif kind == "mysql":
            found.append(
                _mysql(systems[system], {name: own[name].table.rpartition(".")[2] for name in tables})
            )
        else:
            left[system] = f"{kind} keeps no roles: who can open its files can read it all"
            for name, one in own.items():
                _in_files(systems[system], name, one.table, files, missing)
    return AccessFacts(
        systems=tuple(found), files=tuple(files), not_looked=left, not_there=missing, down=tuple(seen.down)
    )


def _columns(one: Dataset) -> list[str]:
    return [column for column, category in one.personal.items() if category != "no"]


def _in_files(
    reader: Reader, name: str, table: str, files: list[FileAccess], missing: dict[str, str]
) -> None:
    if name in missing:
        return
    if reader.kind not in OF_FILES:
        missing[name] = f"{reader.kind} is not asked who may read it"
        return
    try:
        found = reader.read("file_rights", table=table)
    except DatareeveError as error:
        missing[name] = error.what
        return
    if found["files"]:
        files.append(FileAccess(dataset=name, system=reader.name, kind=reader.kind, **found))
    else:
        missing[name] = f"no file of {reader.name} is called {table}"


def _postgresql(reader: Reader, tables: dict[str, tuple[dict[str, Any], list[str]]]) -> SystemAccess:
    asked = {"tables": json.dumps([{"name": name, "source": about["source"].replace("%%", "%"), "columns": columns} for name, (about, columns) in tables.items()])}  # fmt: skip
    roles = {row["role"]: row for row in reader.read("query", sql=PG_ROLES)}
    open_to_all = reader.read("query", sql=PG_PUBLIC, parameters=asked)
    rights = reader.read("query", sql=PG_RIGHTS, parameters=asked)
    hba, unseen_hba = _asked(reader, PG_HBA, "pg_hba_file_rules (who may connect from where)")
    md5, unseen_md5 = _asked(reader, PG_HASHES, "pg_authid (how passwords are kept)")
    server, unseen = _asked(reader, PG_SERVER, "the server's settings")
    public = {(row["dataset"], row["how"]) for row in open_to_all}
    return SystemAccess(
        system=reader.name,
        kind="postgresql",
        roles=tuple(_role(row) for row in roles.values()),
        rights=tuple(Right(role=r["role"], dataset=r["dataset"], reads=r["reads"], writes=r["writes"], way=_way(r, roles[r["role"]], public), through=_through(r)) for r in rights),
        public=_by_dataset(open_to_all),
        defaults=tuple(f"{row['place']} (tables of {row['owner']}): {', '.join(row['rights'])}" for row in reader.read("query", sql=PG_DEFAULTS)),
        server=server[0] if server else {},
        hba=None if hba is None else tuple(hba),
        md5=None if md5 is None else next(iter(md5[0].values())),
        datasets=tuple(tables),
        not_seen=tuple(one for one in (unseen_hba, unseen_md5, unseen) if one),
    )  # fmt: skip


def _through(row: dict[str, Any]) -> str:
    """'public.visits_2025 (partition)', 'a, b, c, d, e and 3 more (partition)'; '' for the table itself."""
    if not row["how"]:
        return ""
    more = f" and {row['n'] - len(row['relations'])} more" if row["n"] > len(row["relations"]) else ""
    return f"{', '.join(row['relations'])}{more} ({row['how']})"


def _by_dataset(rows: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        by = f" by {through}" if (through := _through(row)) else ""
        found[row["dataset"]] = (*found.get(row["dataset"], ()), f"{', '.join(row['rights'])}{by}")
    return found


def _asked(reader: Reader, sql: str, what: str) -> tuple[list[dict[str, Any]] | None, str]:
    try:
        return reader.read("query", sql=sql), ""
    except DatareeveError as error:
        return None, f"{what}: {error.what}"


def _role(row: dict[str, Any]) -> Role:
    return Role(name=row["role"], **{key: row[key] for key in ("login", "superuser", "bypass", "creates_roles", "valid_until", "here_since", "addresses")}, member_of=tuple(row["member_of"]))  # fmt: skip


def _way(right: dict[str, Any], role: dict[str, Any], public: set[tuple[str, str]]) -> str:
    if role["superuser"]:
        return "superuser"
    if right["owns"]:
        return "owner"
    if role["reads_all"]:
        return "pg_read_all_data"
    if role["writes_all"] and not right["reads"]:
        return "pg_write_all_data"
    return "public" if (right["dataset"], right["how"]) in public else "granted"


def _mysql(reader: Reader, tables: dict[str, str]) -> SystemAccess:
    rows, unseen = _asked(reader, MYSQL_RIGHTS, "information_schema's privileges")
    server, unseen_server = _asked(reader, MYSQL_SERVER, "the server's settings")
    sees_all = _asked(reader, "SELECT count(*) AS n FROM mysql.user", "mysql.user")[0] is not None
    roles: dict[str, dict[str, set[str]]] = {}
    for row in rows or ():
        level = row["table_name"] or row["level"]
        roles.setdefault(row["role"], {}).setdefault(level, set()).add(row["privilege"])
    rights = (*_mysql_rights(roles, tables), *_by_views(reader, roles, tables))
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
            by = f" by {right.through}" if right.through else ""
            may = ([f"SELECT{by}"] if right.reads else []) + (["write"] if right.writes else [])
            found.setdefault(right.dataset, set()).update(may)
    return {dataset: tuple(sorted(may)) for dataset, may in found.items()}


def _mysql_rights(roles: dict[str, dict[str, set[str]]], tables: dict[str, str]) -> Iterator[Right]:
    for role, rights in roles.items():
        for dataset, table in tables.items():
            granted = rights.get("server", set()) | rights.get("database", set()) | rights.get(table, set())
            if granted & {"SELECT", "INSERT", "UPDATE", "DELETE"}:
                way = "superuser" if "SUPER" in granted else "granted"
                yield Right(role=role, dataset=dataset, reads="SELECT" in granted, writes=bool(granted - {"SELECT", "SUPER"}), way=way)  # fmt: skip


def _by_views(
    reader: Reader, roles: dict[str, dict[str, set[str]]], tables: dict[str, str]
) -> Iterator[Right]:
    """Rights on views of a table, of those who have none on the table itself."""
    for dataset, table in tables.items():
        asked = {"table": f"`{table.replace('`', '``')}`"}
        for view in [row["view_name"] for row in reader.read("query", sql=MYSQL_VIEWS, parameters=asked)]:
            for role, rights in roles.items():
                wide = rights.get("server", set()) | rights.get("database", set()) | rights.get(table, set())
                if "SELECT" in rights.get(view, set()) - wide:
                    yield Right(role=role, dataset=dataset, reads=True, writes=False, way="granted", through=f"{view} (view)")  # fmt: skip


# -- what is noticed --------------------------------------------------------------------------------------------------------------------


def findings(facts: AccessFacts) -> tuple[Finding, ...]:
    """What somebody should look at, worst first within a system."""
    found = [
        finding for system in facts.systems for finding in (*_roles(system), *_way_in(system), *_kept(system))
    ]
    return (*found, *(finding for one in facts.files for finding in _opened(one)))


def _roles(one: SystemAccess) -> Iterator[Finding]:
    for dataset, rights in one.public.items():
        yield _finding("public-can-read", f"{one.system}: {dataset}", f"{dataset} is open to PUBLIC, that is every role: {'; '.join(rights)}.", "REVOKE ALL ON that table, partition or view FROM PUBLIC, and grant it to those who need it.", Severity.CRITICAL)  # fmt: skip
    yield from _through_others(one)
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


def _opened(one: FileAccess) -> Iterator[Finding]:
    place, whose = f"{one.system}: {one.dataset}", ", ".join(one.owners)
    if one.all_read or one.all_write:
        yield _finding("files-open-to-all", place, f"Of {one.dataset}, {one.open_to_all()} (they are {whose}'s).", "chmod o-rwx those files, or the folder that they lie in.")  # fmt: skip
    else:
        by = f", and the groups {', '.join(one.groups)} may read some" if one.groups else ""
        yield _finding("files-looked-at", place, f"{one.kind} keeps no roles. The {one.files} files of {one.dataset} are {whose}'s{by}; no other account of this machine may.", "Ask of the programs of these accounts who uses them.", Severity.INFO)  # fmt: skip


def _through_others(one: SystemAccess) -> Iterator[Finding]:
    """Roles that may not read a table, and read its rows by another way."""
    ways: dict[tuple[str, str], list[str]] = {}
    for right in one.rights:
        if right.through and right.reads and right.way not in ("superuser", "owner", "pg_read_all_data"):
            ways.setdefault((right.dataset, right.through), []).append(right.role)
    for (dataset, through), roles in ways.items():
        yield _finding("read-by-another-way", f"{one.system}: {dataset}", f"{', '.join(sorted(roles))} may not read {dataset} itself, and read{'s' * (len(roles) == 1)} its rows by {through}.", "Take that grant away too, unless it is meant.")  # fmt: skip


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
    """Who can do what, for the report: system, dataset, role, way, reads, writes, through what."""
    roles = [{"system": one.system, **right.model_dump()} for one in facts.systems for right in one.rights]
    files = [{"system": one.system, "role": f"file owner {owner}", "dataset": one.dataset, "reads": True, "writes": True, "way": "file permissions", "through": ""} for one in facts.files for owner in one.owners]  # fmt: skip
    every = [{"system": one.system, "role": "every account of the machine", "dataset": one.dataset, "reads": one.all_read > 0, "writes": one.all_write > 0, "way": "file permissions", "through": ""} for one in facts.files if one.all_read or one.all_write]  # fmt: skip
    return [*roles, *files, *every]


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
