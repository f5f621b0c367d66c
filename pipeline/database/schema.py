"""The tables. A change here needs a migration in `migrations/versions`; a test holds the two together."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

_IDENTITY = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER

batches = Table(
    "batches",
    metadata,
    Column("id", _IDENTITY, primary_key=True, autoincrement=True),
    Column("source", String(32), nullable=False),
    Column("known_at", DateTime, nullable=False, comment="UTC"),
    Column("rows", Integer, nullable=False),
    comment="one row for each ingestion that brought something new",
)

# Append-only and bitemporal: `session` is when a price was made, `known_at` when it became known here.
# Each source has series of its own: raw and adjusted prices of one symbol never mix.
bars = Table(
    "bars",
    metadata,
    Column("source", String(32), nullable=False),
    Column("symbol", String(20), nullable=False),
    Column("session", Date, nullable=False),
    Column("known_at", DateTime, nullable=False, comment="UTC; a later row for the same session is a revision"),
    Column("open", Float, nullable=False),
    Column("high", Float, nullable=False),
    Column("low", Float, nullable=False),
    Column("close", Float, nullable=False),
    Column("volume", Float, nullable=False),
    Column("dividend", Float, nullable=False, comment="paid per share on the ex-date, in the price's currency"),
    Column("split_ratio", Float, nullable=False, comment="new shares for one old; 1 on all other days"),
    Column("currency", String(8), nullable=False),
    Column("batch_id", _IDENTITY, ForeignKey("batches.id"), nullable=False),
    Column("verdict", String(16), nullable=False, comment="accept or warn"),
    PrimaryKeyConstraint("source", "symbol", "session", "known_at"),
    comment="the prices the pipeline believes",
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _IDENTITY, primary_key=True, autoincrement=True),
    Column("symbol", String(20), nullable=False),
    Column("session", Date, nullable=False),
    Column("known_at", DateTime, nullable=False),
    Column("verdict", String(16), nullable=False, comment="quarantine or reject"),
    Column("rule", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("bar", Text, nullable=False, comment="the bar as it came, as JSON"),
    Column("source", String(32), nullable=False),
    Index("ix_quarantine_symbol", "symbol", "session"),
    comment="bars that were held back, and why",
)

forecasts = Table(
    "forecasts",
    metadata,
    Column("symbol", String(20), nullable=False),
    Column("as_of", Date, nullable=False),
    Column("step", Integer, nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("model", String(32), nullable=False),
    Column("role", String(16), nullable=False, comment="published, or baseline beside it"),
    Column("target_session", Date, nullable=False),
    Column("last_close", Float, nullable=False),
    Column("quantiles", Text, nullable=False, comment="level to price, as JSON"),
    Column("run_key", String(250), nullable=False),
    PrimaryKeyConstraint("symbol", "as_of", "step", "model_version"),
    Index("ix_forecasts_target_session", "target_session"),
    comment="every forecast that was published, and the baseline beside it",
)

scores = Table(
    "scores",
    metadata,
    Column("symbol", String(20), nullable=False),
    Column("as_of", Date, nullable=False),
    Column("step", Integer, nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("scored_as_of", Date, nullable=False, comment="the session of the run that scored it"),
    Column("close", Float, nullable=False, comment="what came, on the scale of last_close"),
    Column("crps_bp", Float, nullable=False),
    Column("inside_50", Integer, nullable=False),
    Column("inside_80", Integer, nullable=False),
    Column("inside_90", Integer, nullable=False),
    PrimaryKeyConstraint("symbol", "as_of", "step", "model_version"),
    comment="published forecasts against what came",
)
