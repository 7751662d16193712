"""The ledger as it was first: entries and samples with their chains, leases; rows can be added and nothing else.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

GENESIS = "0" * 64


def upgrade() -> None:
    """Make the tables, the chains' first links and the triggers that keep rows as they are."""
    op.create_table(
        "entries",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("at", "kind", "subject", "body", "hash")),
        sqlite_with_rowid=False,
    )
    others = sa.text("kind NOT IN ('step', 'check', 'part')")
    op.create_index(
        "entries_kind_idx", "entries", ["kind", "subject", "seq"], postgresql_where=others, sqlite_where=others
    )
    op.create_table(
        "samples",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("at", "system", "name")),
        sa.Column("value", sa.Float(53), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("labels", "hash")),
    )
    op.create_index("samples_name_idx", "samples", ["system", "name", "at"])
    chain = op.create_table(
        "chain",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.bulk_insert(chain, [{"name": name, "seq": 0, "hash": GENESIS} for name in ("entries", "samples")])
    op.create_table(
        "leases",
        sa.Column("resource", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
    )
    for table in ("entries", "samples"):
        for statement in _append_only(table):
            op.execute(statement)
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER entries_chain AFTER INSERT ON entries "
            "BEGIN UPDATE chain SET seq = NEW.seq, hash = NEW.hash WHERE name = 'entries'; END"
        )


def _append_only(table: str) -> tuple[str, ...]:
    if op.get_bind().dialect.name == "postgresql":
        return (
            f"CREATE FUNCTION {table}_stay() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{table} are append-only'; END $$",
            f"CREATE TRIGGER {table}_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION {table}_stay()",
        )
    return tuple(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
        for verb in ("UPDATE", "DELETE")
    )


def downgrade() -> None:
    """There is nothing before the first revision."""
    raise NotImplementedError("The ledger is append-only: it does not go back.")
