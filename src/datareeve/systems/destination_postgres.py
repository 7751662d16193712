"""PostgreSQL as a destination: statements go by psycopg, rows by DuckDB's COPY into the attached database, with the batch in one transaction."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from datareeve.systems.destination import STATE, Batch, Destination, Held, Rows
from datareeve.systems.mover import identifier, literal, qualified
from datareeve.systems.mover_errors import FENCED, translated
from datareeve.systems.postgres_relay import relayed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from datareeve.systems.mover import Mover

ALIAS = "dest"
LONGEST = 63  # bytes of a name
FORMER = "__former"
SWAPPED = "datareeve__swapped"  # a name between two others, within one transaction
LOCK = 7_246_201  # advisory: two that make the state's tables at once


class PostgresDestination(Destination):
    """One PostgreSQL database."""

    dialect = "postgres"
    row_place = "ctid"
    schemas = "SELECT 1 FROM pg_namespace WHERE nspname"

    def __init__(
        self,
        name: str,
        mover: Mover,
        must_hold: Callable[[], None],
        connection: psycopg.Connection[Any],
        conninfo: str,
    ) -> None:
        super().__init__(name, mover, must_hold)
        self._connection = connection
        self._conninfo = conninfo
        self._attached = False
        connection.autocommit = True

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The connection that statements go by: COPY of a native route too."""
        return self._connection

    def attach(self) -> None:
        """Let the mover write here. Its own view of the catalog is made anew, because tables were made since."""
        with translated(self.name):
            if not self._attached:
                self.mover.load("postgres_scanner")
                self.mover.execute(f"ATTACH {literal(self._conninfo)} AS {ALIAS} (TYPE postgres)")
                self._attached = True
            self.mover.execute("CALL pg_clear_cache()")

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """See `Destination`."""
        with translated(self.name), self._connection.cursor(row_factory=tuple_row, binary=True) as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def changed(self, sql: str) -> int:
        """See `Destination`."""
        with translated(self.name), self._connection.cursor(binary=True) as cursor:
            cursor.execute(sql)
            return max(cursor.rowcount, 0)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Destination`."""
        with translated(self.name), self._connection.transaction():
            yield

    def prepare(self) -> None:
        """See `Destination`."""
        if self.columns(STATE, "rejected"):
            return
        with self.transaction():
            self.run(f"SELECT pg_advisory_xact_lock({LOCK})")
            super().prepare()

    def make_schema(self, schema: str) -> None:
        """See `Destination`. Of two that make it at once, one waits for the other."""
        self.run(f"SELECT pg_advisory_xact_lock({LOCK})")
        super().make_schema(schema)

    def columns(self, schema: str | None, table: str) -> dict[str, str]:
        """See `Destination`."""
        found = self.run(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            f"WHERE attrelid = to_regclass({literal(qualified(schema, table))}) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        return {str(name): str(type_) for name, type_ in found}

    def moved(self, schema: str | None, name: str) -> str:
        """See `Destination`."""
        return qualified(ALIAS, schema or "public", name)

    def insert(self, held: Held, batch: Batch, into: str, rows: Rows) -> tuple[int, int]:
        """See `Destination`: the fence is looked at, and the batch recorded, by a block that runs in the transaction of the rows."""
        names = ", ".join(map(identifier, rows.columns))
        with translated(self.name):
            self.mover.execute("BEGIN TRANSACTION")
            try:
                taken = int(self.mover.row(f"INSERT INTO {into} ({names}) {rows.taken()}")[0])
                rejects = rows.rejected()
                rows.still()
                rejected = int(self.mover.row(self.quarantine(held, batch, rejects))[0]) if rejects else 0
                block = self._recorded(held, batch, taken, rejected)
                self.mover.execute(f"CALL postgres_execute({literal(ALIAS)}, {literal(block)})")
                self._must_hold()
                self.mover.execute("COMMIT")
            except BaseException:
                with suppress(Exception):  # what ended the transaction already says more
                    self.mover.execute("ROLLBACK")
                raise
        return taken, rejected

    def copy(self, held: Held, batch: Batch, into: str, source: psycopg.Connection[Any], select: str) -> int:
        """Take the rows of a PostgreSQL as they are: COPY from there to here, in binary. Types are the same on both sides."""
        with self.commit(held):
            written = relayed(
                source.pgconn,
                self._connection.pgconn,
                f"COPY ({select}) TO STDOUT",
                f"COPY {into} FROM STDIN",
            )
            self.run(self.batch_row(held, batch, str(written)))
        return written

    def dependents(self, schema: str | None, table: str) -> list[str]:
        """See `Destination`."""
        place = literal(qualified(schema, table))
        return [str(row[0]) for row in self.run(DEPENDENTS.format(table=place))]

    def adopt(self, schema: str | None, old: str, new: str) -> list[str]:
        """See `Destination`: indexes and keys under the names they had, rights, owner and comments."""
        place = qualified(schema, new)
        asked = AROUND.format(table=literal(qualified(schema, old)), new=literal(place))
        for statement, index in self.run(asked):
            if not index or not self._own_again(schema, str(index), place):
                self.run(str(statement))
        return []

    def _own_again(self, schema: str | None, name: str, place: str) -> bool:
        """Free an index's name for a table; gives whether that one has the index already, from when it was published before."""
        aside = _aside(name)
        had = self.run(
            f"SELECT 1 FROM pg_index WHERE indexrelid = to_regclass({literal(qualified(schema, aside))}) AND indrelid = to_regclass({literal(place)})"
        )
        steps = ((name, SWAPPED), (aside, name), (SWAPPED, aside)) if had else ((name, aside),)
        for old, new in steps:  # an index that keeps a constraint takes that one's name along
            self.run(f"ALTER INDEX {qualified(schema, old)} RENAME TO {identifier(new)}")
        return bool(had)

    def ready(self) -> None:
        """See `Destination`."""
        self.attach()

    def looked_at(self, schema: str | None, table: str) -> None:
        """See `Destination`: nothing else does so within the transaction."""
        self.run(f"ANALYZE {self.table(schema, table)}")

    def _recorded(self, held: Held, batch: Batch, taken: int, rejected: int) -> str:
        row = self.batch_row(held, batch, str(taken), rejected)
        where = f"pipeline = {literal(held.pipeline)} AND epoch = {held.epoch:d}"
        body = f"BEGIN PERFORM 1 FROM datareeve.pipelines WHERE {where} FOR UPDATE; IF NOT FOUND THEN RAISE EXCEPTION '{FENCED}'; END IF; {row}; END"
        return f"DO LANGUAGE plpgsql {literal(body)}"

    def kind_of(self, schema: str | None, name: str) -> str:
        """See `Destination`."""
        found = self.run(
            f"SELECT relkind::text FROM pg_class WHERE oid = to_regclass({literal(qualified(schema, name))})"
        )
        return {"v": "VIEW", "m": "MATERIALIZED VIEW"}.get(str(found[0][0]), "TABLE") if found else ""

    def view_text(self, schema: str | None, name: str) -> str:
        """See `Destination`."""
        found = self.run(f"SELECT pg_get_viewdef(to_regclass({literal(qualified(schema, name))}))")
        return str(found[0][0] or "").rstrip().rstrip(";") if found else ""

    def is_json(self, expression: str) -> str:
        """See `Destination`: rows are written as objects, and before version 16 PostgreSQL has no test of its own."""
        return f"{expression} LIKE '{{%}}'"

    def close(self) -> None:
        """See `Destination`."""
        self.mover.close()
        self._connection.close()


def _aside(name: str) -> str:
    """The name of what is left behind, within PostgreSQL's 63 bytes: what is cut off is told by a digest."""
    if len(name.encode()) <= LONGEST - len(FORMER):
        return name + FORMER
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: LONGEST - len(FORMER) - 9].decode(errors='ignore')}_{digest}{FORMER}"


DEPENDENTS = """
SELECT 'view ' || c.oid::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
 WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = to_regclass({table}) AND c.oid <> to_regclass({table}) AND c.relname NOT LIKE '%\\_\\_next'
UNION SELECT 'reference ' || conname FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass({table})
UNION SELECT 'foreign key ' || conname FROM pg_constraint WHERE contype = 'f' AND conrelid = to_regclass({table})
UNION SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = to_regclass({table}) AND NOT tgisinternal
UNION SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = to_regclass({table})
UNION SELECT 'publication ' || p.pubname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = to_regclass({table})
UNION SELECT 'row security' FROM pg_class WHERE oid = to_regclass({table}) AND relrowsecurity
UNION SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = to_regclass({table}) AND rulename <> '_RETURN'
UNION SELECT 'statistics ' || stxname FROM pg_statistic_ext WHERE stxrelid = to_regclass({table})
UNION SELECT 'function ' || objid::regprocedure::text FROM pg_depend WHERE classid = 'pg_proc'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = to_regclass({table})
UNION SELECT 'row type' FROM pg_depend d JOIN pg_class c ON c.oid = to_regclass({table}) WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid = c.reltype AND d.deptype = 'n'
UNION SELECT 'sequence' FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' WHERE d.classid = 'pg_class'::regclass AND d.refobjid = to_regclass({table}) AND d.deptype IN ('a', 'i')
UNION SELECT 'partitions' FROM pg_partitioned_table WHERE partrelid = to_regclass({table})
UNION SELECT 'inheritance' FROM pg_inherits WHERE inhrelid = to_regclass({table}) OR inhparent = to_regclass({table})
"""
# A statement for each thing, in the order in which they go, and the index whose name is to be freed first. What the new table has already, or
# lacks the column for, is left out.
AROUND = """
WITH n AS (SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = to_regclass({new}) AND attnum > 0 AND NOT attisdropped),
 o AS (SELECT * FROM pg_attribute WHERE attrelid = to_regclass({table}) AND attnum > 0 AND NOT attisdropped AND attname IN (SELECT attname FROM n)),
 c AS (SELECT * FROM pg_constraint WHERE conrelid = to_regclass({table}) AND contype IN ('n', 'c', 'p', 'u', 'x')
        AND conkey <@ (SELECT array_agg(attnum) FROM o))
SELECT statement, freed FROM (
SELECT 1 AS step, format('ALTER TABLE %s ADD CONSTRAINT %I %s', {new}, conname, pg_get_constraintdef(oid)) AS statement, NULL AS freed
  FROM c WHERE contype = 'n' AND NOT (SELECT n.attnotnull FROM n JOIN o USING (attname) WHERE o.attnum = conkey[1])
UNION ALL
SELECT 2, format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', {new}, attname), NULL FROM o
 WHERE attnotnull AND NOT EXISTS (SELECT 1 FROM c WHERE contype = 'n' AND conkey[1] = attnum) AND NOT (SELECT n.attnotnull FROM n WHERE n.attname = o.attname)
UNION ALL
SELECT 3, format('ALTER TABLE %s ADD CONSTRAINT %I %s', {new}, conname, pg_get_constraintdef(oid)), NULL FROM c
 WHERE contype = 'c' AND conname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = to_regclass({new}))
UNION ALL
SELECT 4, format('ALTER TABLE %s ADD CONSTRAINT %I %s', {new}, conname, pg_get_constraintdef(oid)), conname::text FROM c WHERE contype IN ('p', 'u', 'x')
UNION ALL
SELECT 5, format('CREATE %s INDEX %I ON %s', CASE WHEN i.indisunique THEN 'UNIQUE' ELSE '' END, x.relname, {new}) || substring(pg_get_indexdef(i.indexrelid) FROM ' USING .*'),
       x.relname::text
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
 WHERE i.indrelid = to_regclass({table}) AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid)
   AND NOT EXISTS (SELECT 1 FROM unnest(i.indkey::int2[]) AS k WHERE k > 0 AND k NOT IN (SELECT attnum FROM o))
UNION ALL
SELECT 6, format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', {new}, attname, pg_get_expr(adbin, adrelid)), NULL
  FROM o JOIN pg_attrdef d ON d.adrelid = o.attrelid AND d.adnum = o.attnum WHERE attgenerated = ''
UNION ALL
SELECT 7, format('ALTER TABLE %s SET (%s)', {new}, array_to_string(reloptions, ', ')), NULL FROM pg_class WHERE oid = to_regclass({table}) AND reloptions IS NOT NULL
UNION ALL
SELECT 8, format('GRANT %s ON TABLE %s TO %s%s', a.privilege_type, {new}, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), NULL
  FROM pg_class r, aclexplode(r.relacl) a WHERE r.oid = to_regclass({table}) AND a.grantee <> r.relowner
UNION ALL
SELECT 9, format('GRANT %s (%I) ON TABLE %s TO %s%s', a.privilege_type, attname, {new}, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), NULL
  FROM o, aclexplode(o.attacl) a
UNION ALL
SELECT 10, format('COMMENT ON TABLE %s IS %L', {new}, obj_description(to_regclass({table}), 'pg_class')), NULL WHERE obj_description(to_regclass({table}), 'pg_class') IS NOT NULL
UNION ALL
SELECT 11, format('COMMENT ON COLUMN %s.%I IS %L', {new}, attname, col_description(attrelid, attnum)), NULL FROM o WHERE col_description(attrelid, attnum) IS NOT NULL
UNION ALL
SELECT 12, format('ALTER TABLE %s OWNER TO %I', {new}, pg_get_userbyid(relowner)), NULL FROM pg_class WHERE oid = to_regclass({table}) AND pg_get_userbyid(relowner) <> current_user
) AS s ORDER BY step
"""
