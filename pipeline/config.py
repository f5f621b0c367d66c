"""The settings: one frozen object, read from `PIPELINE_*` variables or `.env` and validated on construction."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import Field, GetCoreSchemaHandler, JsonValue, ValidationError, ValidationInfo, field_validator
from pydantic_core import CoreSchema, core_schema
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pipeline.errors import BadSetting
from pipeline.forecast_schema import INPUTS, NetworkName
from pipeline.market.clock import MarketClock
from pipeline.market.exchanges import Mapped, parse_mapped
from pipeline.market.symbols import parse_symbols
from pipeline.storage import Storage, check_address, open_storage
from pipeline.storage.urls import shown, web_link

# Read from the folder that a process is started in, by `Settings`, by `env_file_values` and by nothing else.
ENV_FILE = ".env"
SourceName = Literal["sample", "yahoo", "files"]
EVENT_SOURCES = ("none", "sample", "yahoo")  # values of `events` that are not the path of a file
PrecisionName = Literal["auto", "fp32", "bf16"]

# Settings that may differ between the tasks of one run: locations, recipients, and the capacity of a machine. Every
# other setting is frozen when a run is planned, including new ones until they are listed here.
PER_PROCESS = frozenset(
    {
        *("home", "database_url", "store_uri", "publish_uri", "yahoo_url", "mlflow_tracking_uri"),  # addresses
        *("mlflow_link", "airflow_link"),  # addresses for people
        *("notify_email", "notify_slack", "notify_webhook"),  # recipients
        *("threads", "ingest_batch"),  # how work is divided; training records its number of threads
    }
)


class Settings(BaseSettings):
    """All settings of the pipeline. Each field is the variable `PIPELINE_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix="PIPELINE_",
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    home: Path = Field(Path("var"), description="directory of all state: database, snapshots, published forecasts")
    source: SourceName = Field("sample", description="source of prices: `sample`, `yahoo` or `files`")
    files: Path | None = Field(
        None, description="the CSV or Parquet file, or folder of them, that the source `files` reads"
    )
    files_dates: str = Field(
        "",
        description="order of ambiguous dates in price files: `day-first`, `month-first`, `year-first` "
        "or a strptime format",
    )
    files_decimal: Literal["", "point", "comma"] = Field(
        "", description="decimal separator in price files where `1.234` is ambiguous: `point` or `comma`"
    )
    events: str = Field(
        "",
        description="scheduled events: `none`, `sample`, `yahoo`, or a CSV or Parquet file of `symbol, date[, kind, "
        "time, known_at]`; empty: the calendar of the price source, if it has one",
    )
    symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="symbols, comma-separated; empty: all of the source"
    )
    exchange: str = Field(
        "XNYS", description="calendar code of the exchange, for the schedule and for symbols without a suffix"
    )
    markets: Annotated[Mapped, NoDecode] = Field(
        (),
        description="calendars for suffixes or indices, such as `SR=XSAU,^TASI=XSAU`, before the built-in table",
    )
    close_delay_minutes: int = Field(
        30, ge=0, le=720, description="minutes after the close until a bar counts as complete"
    )
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite under the home")
    store_uri: str = Field(
        "", description="folder or bucket for snapshots and the files that steps exchange; empty: under the home"
    )
    publish_uri: str = Field(
        "", description="folder or bucket for published forecasts; empty: `published` under the home"
    )
    network: NetworkName = Field("lstm", description="the network to train")
    inputs: Annotated[tuple[str, ...], NoDecode] = Field(
        INPUTS, description="input features of each session and of those to come, comma-separated; empty: all"
    )
    horizon: int = Field(5, ge=1, le=60, description="number of sessions to forecast")
    context_length: int = Field(60, ge=5, le=500, description="number of past sessions in an input window")
    retrain_every: int = Field(1, ge=1, le=252, description="sessions between trainings; 1 trains in every run")
    champion_expires_after: int = Field(
        63,
        ge=1,
        le=2000,
        validate_default=True,
        description="sessions after which a champion is no longer published",
    )
    gate_level: float = Field(0.10, gt=0, le=0.5, description="significance level of each promotion test")
    training_steps: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="training budget in optimizer steps; empty: 600 if that is at most one pass over the windows, else "
        "1000 with early stopping",
    )
    batch_size: int = Field(256, ge=8, le=8192, description="windows per optimizer step")
    learning_rate: float | None = Field(
        None, ge=1e-6, le=0.1, description="peak learning rate; empty: 0.002 in one pass, else 0.0005"
    )
    hidden_size: int = Field(64, ge=4, le=1024, description="hidden size of the network")
    holdout_sessions: int = Field(
        252, ge=20, le=2000, description="most recent sessions, held out for evaluation; at least the horizon"
    )
    validation_sessions: int = Field(
        126,
        ge=20,
        le=2000,
        description="sessions before the holdout, used for early stopping where a network sees its data more than "
        "once; at least the horizon",
    )
    yahoo_url: str = Field("", description="base address to use instead of Yahoo's: a mirror or a proxy; empty: Yahoo")
    seed: int = Field(7, ge=0, description="seed of the initial weights and of the order of windows")
    threads: int = Field(1, ge=1, le=64, description="threads among which a training step divides its windows")
    precision: PrecisionName = Field(
        "auto", description="training precision: `fp32`, `bf16`, or `auto`: bf16 where it was measured to be faster"
    )
    refit_every: int = Field(63, ge=1, le=2000, description="sessions per fold of a backtest")
    ingest_batch: int = Field(50, ge=1, le=1000, description="symbols per ingest task")
    mlflow_tracking_uri: str = Field(
        "", validation_alias="MLFLOW_TRACKING_URI", description="MLflow's own setting; empty: SQLite under the home"
    )

    mlflow_link: str = Field("", description="address of MLflow in links, if people reach it under a different one")
    airflow_link: str = Field("", description="address of Airflow in links to runs and reports")
    notify_email: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="e-mail recipients of notifications, comma-separated; sent by Airflow's connection `smtp_default`",
    )
    notify_slack: str = Field("", description="Airflow connection of the Slack webhook that receives notifications")
    notify_webhook: str = Field("", description="Airflow connection of the webhook that receives notifications")

    @field_validator("symbols", mode="before")
    @classmethod
    def _read_symbols(cls, value: Any) -> tuple[str, ...]:
        return parse_symbols(value or "")

    @field_validator("files_dates", mode="after")
    @classmethod
    def _is_an_order_or_a_format(cls, value: str) -> str:
        if value in ("", "day-first", "month-first", "year-first") or "%" in value:
            return value
        raise ValueError("is neither day-first, month-first, year-first nor a strptime format such as %d.%m.%y")

    @field_validator("events", mode="after")
    @classmethod
    def _is_a_source_or_a_file(cls, value: str) -> str:
        name = value.strip()
        known = name.lower() in ("", *EVENT_SOURCES)
        return name.lower() if known else str(Path(name).expanduser().resolve())

    @field_validator("markets", mode="before")
    @classmethod
    def _read_markets(cls, value: Any) -> Mapped:
        return parse_mapped(value or ())

    @field_validator("inputs", mode="before")
    @classmethod
    def _read_inputs(cls, value: Any) -> tuple[str, ...]:
        names = tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value
        unknown = sorted(set(names) - set(INPUTS))
        if unknown:
            raise ValueError(f"unknown input {', '.join(unknown)}; choose from {', '.join(INPUTS)}")
        return tuple(name for name in INPUTS if name in names) or INPUTS

    @field_validator("holdout_sessions", "validation_sessions", mode="after")
    @classmethod
    def _no_shorter_than_the_horizon(cls, value: int, info: ValidationInfo) -> int:
        horizon = info.data.get("horizon", 1)
        if value < horizon:
            raise ValueError(
                f"is less than PIPELINE_HORIZON={horizon}: no forecast would fit into it; "
                "lower the horizon or raise this value"
            )
        return value

    @field_validator("champion_expires_after", mode="after")
    @classmethod
    def _not_before_the_next(cls, value: int, info: ValidationInfo) -> int:
        retrain_every = info.data.get("retrain_every", 1)
        if value < retrain_every:
            raise ValueError(
                f"is less than PIPELINE_RETRAIN_EVERY={retrain_every}: the champion would expire before the next is "
                "trained; raise the one or lower the other"
            )
        return value

    @field_validator("store_uri", "publish_uri", mode="after")
    @classmethod
    def _can_be_reached(cls, value: str) -> str:
        return check_address(value)

    @field_validator("home", "files", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().resolve() if value is not None else None

    @field_validator("notify_email", mode="before")
    @classmethod
    def _read_addresses(cls, value: Any) -> tuple[str, ...]:
        names = [name.strip() for name in value.split(",")] if isinstance(value, str) else list(value)
        wrong = [name for name in names if name and not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", name)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} is not an e-mail address")
        return tuple(name for name in names if name)

    @field_validator("mlflow_link", "airflow_link", mode="after")
    @classmethod
    def _is_a_link(cls, value: str) -> str:
        if "@" in value.partition("://")[2].partition("/")[0]:
            raise ValueError("is visible to everybody: remove the user and the password")
        if value and web_link(value) is None:
            raise ValueError("is not a web address: write it as https://HOST or http://HOST:PORT")
        return value

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Return the settings of the environment; overrides that are not None take precedence.

        Raises BadSetting with the variable, its value and the allowed values.
        """
        return cls._checked({name: value for name, value in overrides.items() if value is not None})

    @classmethod
    def thaw(cls, frozen: Mapping[str, JsonValue], *, symbols: Sequence[str]) -> Self:
        """Return the settings of a planned run: `frozen`, and only PER_PROCESS from the environment.

        A frozen None stays None whatever the environment contains. Raises BadSetting like `load`.
        """
        return cls._checked({**frozen, "symbols": symbols})

    def frozen(self) -> dict[str, JsonValue]:
        """Return every setting that is frozen when a run is planned, as JSON types, without the symbols."""
        return self.model_dump(mode="json", exclude={*PER_PROCESS, "symbols"})

    @classmethod
    def _checked(cls, values: Mapping[str, Any]) -> Self:
        try:
            return cls(**values)
        except ValidationError as error:
            raise BadSetting("; ".join(_in_words(problem) for problem in error.errors())) from None
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise BadSetting(f"{Path(ENV_FILE).resolve()} cannot be read: {reason}; fix or remove it") from None

    @property
    def clock(self) -> MarketClock:
        """The exchange that the schedule follows, and the calendars of symbols."""
        delay = timedelta(minutes=self.close_delay_minutes)
        return MarketClock(exchange=self.exchange, markets=self.markets, close_delay=delay)

    def airflow_run(self, dag_id: str, run_id: str) -> str | None:
        """Return the address of a run's page in Airflow, None if the address of Airflow is not set."""
        if not self.airflow_link:
            return None
        return f"{self.airflow_link.rstrip('/')}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"

    @property
    def database(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.home / 'pipeline.db'}"

    @property
    def store(self) -> Storage:
        """The storage of snapshots and of the files that the steps of a run exchange."""
        return open_storage(self.store_uri or self.home, self.home / "cache", shared=bool(self.store_uri))

    @property
    def published(self) -> Storage:
        """The storage of published forecasts."""
        address = self.publish_uri or self.home / "published"
        return open_storage(address, self.home / "cache", shared=bool(self.publish_uri))

    @property
    def tracking_uri(self) -> str:
        """The tracking URI of MLflow: a server, or the SQLite file that the server of `make run` uses."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"


@dataclass(frozen=True)
class Overrides:
    """The settings that a request changes, by field of `Settings`: those of a command line or a trigger form.

    The values are as JSON has them; `settings` validates them. Raises BadSetting for a name that is not a setting. As a
    document it is the mapping itself.
    """

    by_name: Mapping[str, JsonValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.by_name) - set(Settings.model_fields)):
            raise BadSetting(f"no such setting: {', '.join(unknown)}; there are {', '.join(Settings.model_fields)}")

    def settings(self) -> Settings:
        """Return the settings of the environment with these on top. Raises BadSetting like `Settings.load`."""
        return Settings.load(**self.by_name)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls,
            handler.generate_schema(dict[str, JsonValue]),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: dict(value.by_name)),
        )


def env_file_values() -> dict[str, str]:
    """Return the variables of `.env` that have a value, for processes that do not read the file themselves."""
    from dotenv import dotenv_values  # 0.05 s, which only the one-machine services need

    return {name: value for name, value in dotenv_values(ENV_FILE, encoding="utf-8").items() if value}


def variable(field: str) -> str:
    """Return the name of the environment variable that sets `field`."""
    return "MLFLOW_TRACKING_URI" if field == "mlflow_tracking_uri" else f"PIPELINE_{field.upper()}"


def _in_words(problem: Any) -> str:
    field = str(problem["loc"][0]) if problem["loc"] else "settings"
    cause = problem.get("ctx", {}).get("error")
    reason = str(cause) if cause is not None else problem["msg"].lower()
    return f"{variable(field)}={shown(repr(problem['input']))}: {reason}"
