"""Forecasts and scores by the run that published them, and whether that was a trial.

The key was the same for every run of a session, so that a later run replaced the forecasts of an earlier one. All rows
that are there already count as standing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = ("symbol", "as_of", "step", "model_version")


def upgrade() -> None:
    op.drop_index("ix_forecasts_target_session", "forecasts")
    for table in ("forecasts", "scores"):
        op.rename_table(table, f"{table}_0004")
        if op.get_bind().dialect.name != "sqlite":  # the name of the key stays with the old table otherwise
            op.execute(f"ALTER INDEX pk_{table} RENAME TO pk_{table}_0004")
    _make_forecasts()
    _make_scores()
    op.drop_table("scores_0004")
    op.drop_table("forecasts_0004")
    op.create_index("ix_forecasts_target_session", "forecasts", ["target_session"])


def _make_forecasts() -> None:
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
        sa.Column("run_key", sa.String(length=250), nullable=False, comment="the run whose edition it belongs to"),
        sa.Column(
            "source",
            sa.String(length=32),
            nullable=False,
            server_default="",
            comment="of its prices; not known of the oldest",
        ),
        sa.Column("published_at", sa.DateTime(), comment="UTC; not known of the oldest"),
        sa.Column(
            "in_time",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="before its target session closed",
        ),
        sa.Column(
            "series",
            sa.String(length=16),
            nullable=False,
            server_default="",
            comment="of a trial; empty: the standing one",
        ),
        sa.PrimaryKeyConstraint(*KEY, "run_key", name=op.f("pk_forecasts")),
        comment="every published forecast, and its baseline",
    )
    names = ", ".join(
        (*KEY, "model", "role", "target_session", "last_close", "quantiles", "run_key", "source", "published_at")
    )
    op.execute(f"INSERT INTO forecasts ({names}, in_time) SELECT {names}, in_time FROM forecasts_0004")


def _make_scores() -> None:
    op.create_table(
        "scores",
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.String(length=64), nullable=False),
        sa.Column("run_key", sa.String(length=250), nullable=False, comment="as in forecasts"),
        sa.Column("scored_as_of", sa.Date(), nullable=False, comment="the session of the run that scored it"),
        sa.Column("close", sa.Float(), nullable=False, comment="the outcome, on the scale of last_close"),
        sa.Column("crps_bp", sa.Float(), nullable=False),
        sa.Column("inside_50", sa.Integer(), nullable=False),
        sa.Column("inside_80", sa.Integer(), nullable=False),
        sa.Column("inside_90", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(*KEY, "run_key", name=op.f("pk_scores")),
        comment="published forecasts and their outcome",
    )
    kept = ("scored_as_of", "close", "crps_bp", "inside_50", "inside_80", "inside_90")
    names = ", ".join((*KEY, *kept))
    theirs = ", ".join(f"s.{name}" for name in (*KEY, *kept))
    same = " AND ".join(f"f.{name} = s.{name}" for name in KEY)
    op.execute(
        f"INSERT INTO scores ({names}, run_key) SELECT {theirs}, COALESCE(f.run_key, '') "
        f"FROM scores_0004 s LEFT JOIN forecasts_0004 f ON {same}"
    )
