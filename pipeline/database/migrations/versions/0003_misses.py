"""Sessions missing when a run proceeded, the batch before a bar was held back, and an index of bars with a warning."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DAY = sa.Date().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "misses",
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("session", DAY, nullable=False, comment="the last session requested"),
        sa.Column("asked_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("outcome", sa.String(length=16), nullable=False, comment="see pipeline.prices.store.request_log"),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "symbol", "session", "asked_at", name=op.f("pk_misses")),
        comment="sessions that were missing when a run proceeded, by symbol",
    )
    column = sa.Column("batch_id", ID, nullable=False, server_default="0", comment="the last batch before it was held")
    op.add_column("quarantine", column)
    op.execute(
        "UPDATE quarantine SET batch_id = COALESCE((SELECT MAX(b.id) FROM batches b "
        "WHERE b.source = quarantine.source AND b.known_at <= quarantine.known_at), 0)"
    )
    there = sa.text("warning IS NOT NULL")
    op.create_index("ix_bars_warning", "bars", ["series_id", "session"], sqlite_where=there, postgresql_where=there)
