"""Snapshots: counters of a system at a moment, which thin out with age and so stand outside of the chains.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. Its rows may go again: they are measurements, not the account of what was done."""
    op.create_table(
        "snapshots",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("system", "kind", "at")),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """The ledger does not go back."""
    raise NotImplementedError("The ledger is append-only: it does not go back.")
