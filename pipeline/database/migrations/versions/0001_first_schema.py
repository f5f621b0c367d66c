"""The first schema: bars, quarantine, forecasts and scores."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("known_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        comment="one row per ingestion that changed something",
    )
    op.create_table(
        "forecasts",
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False, comment="published, or baseline"),
        sa.Column("target_session", sa.Date(), nullable=False),
        sa.Column("last_close", sa.Float(), nullable=False),
        sa.Column("quantiles", sa.Text(), nullable=False, comment="level to price, as JSON"),
        sa.Column("run_key", sa.String(length=250), nullable=False),
        sa.PrimaryKeyConstraint("symbol", "as_of", "step", "model_version", name=op.f("pk_forecasts")),
        comment="every published forecast, and its baseline",
    )
    op.create_index("ix_forecasts_target_session", "forecasts", ["target_session"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("known_at", sa.DateTime(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False, comment="quarantine or reject"),
        sa.Column("rule", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("bar", sa.Text(), nullable=False, comment="the bar as received, as JSON"),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        comment="bars that were held back, with the reason",
    )
    op.create_index("ix_quarantine_symbol", "quarantine", ["symbol", "session"], unique=False)
    op.create_table(
        "scores",
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.String(length=64), nullable=False),
        sa.Column("scored_as_of", sa.Date(), nullable=False, comment="the session of the run that scored it"),
        sa.Column("close", sa.Float(), nullable=False, comment="the outcome, on the scale of last_close"),
        sa.Column("crps_bp", sa.Float(), nullable=False),
        sa.Column("inside_50", sa.Integer(), nullable=False),
        sa.Column("inside_80", sa.Integer(), nullable=False),
        sa.Column("inside_90", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("symbol", "as_of", "step", "model_version", name=op.f("pk_scores")),
        comment="published forecasts and their outcome",
    )
    op.create_table(
        "bars",
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column(
            "known_at", sa.DateTime(), nullable=False, comment="UTC; a later row for the same session is a revision"
        ),
        sa.Column("open", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("close", sa.Float(), nullable=False),
        sa.Column("volume", sa.Float(), nullable=False),
        sa.Column(
            "dividend", sa.Float(), nullable=False, comment="paid per share on the ex-date, in the price's currency"
        ),
        sa.Column("split_ratio", sa.Float(), nullable=False, comment="new shares for one old; 1 on all other days"),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False, comment="accept or warn"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_bars_batch_id")),
        sa.PrimaryKeyConstraint("source", "symbol", "session", "known_at", name=op.f("pk_bars")),
        comment="accepted prices",
    )


def downgrade() -> None:
    op.drop_table("bars")
    op.drop_table("scores")
    op.drop_index("ix_quarantine_symbol", table_name="quarantine")
    op.drop_table("quarantine")
    op.drop_index("ix_forecasts_target_session", table_name="forecasts")
    op.drop_table("forecasts")
    op.drop_table("batches")
