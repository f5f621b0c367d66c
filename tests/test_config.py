"""Symbols, sessions and settings: what is taken, what is refused, and in which words."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.config import Settings, env_file_values
from pipeline.errors import BadSession, BadSetting, BadSymbol
from pipeline.market.sessions import Sessions
from pipeline.market.symbols import parse_symbol, parse_symbols

NEW_YORK = Sessions("XNYS")


@pytest.mark.parametrize("text", ["AAPL", "brk-b", "BP.L", "7203.T", "EURUSD=X", "^GSPC", " msft "])
def test_takes_the_symbols_that_vendors_use(text: str) -> None:
    assert parse_symbol(text) == text.strip().upper()


@pytest.mark.parametrize(
    "text", ["../../x", "A#f", "A?x=1", "ＡＡＰＬ", "=1+1", "-A", "@A", "A B", "A..B", "", "x" * 21, "A\n", "<b>", "ß"]
)
def test_refuses_what_could_be_a_path_a_url_or_a_formula(text: str) -> None:
    if text == "A\n":  # white space around a symbol is no part of it
        assert parse_symbol(text) == "A"
        return
    with pytest.raises(BadSymbol):
        parse_symbol(text)


def test_the_order_of_a_list_of_symbols_changes_nothing() -> None:
    assert parse_symbols("MSFT, aapl IBM,AAPL") == ("AAPL", "IBM", "MSFT") == parse_symbols(["IBM", "AAPL", "MSFT"])


def test_a_holiday_is_named_with_the_sessions_around_it() -> None:
    with pytest.raises(BadSession, match="2026-11-25 and 2026-11-27"):
        NEW_YORK.require_session(date(2026, 11, 26))


def test_a_session_is_complete_after_its_close_and_the_delay() -> None:
    thanksgiving_friday = date(2026, 11, 27)  # closes at 13:00 in New York
    assert NEW_YORK.complete_at(thanksgiving_friday) == datetime(2026, 11, 27, 18, 30, tzinfo=UTC)
    assert NEW_YORK.opens_at(thanksgiving_friday) == datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
    just_before = datetime(2026, 11, 27, 18, 29, 59, tzinfo=UTC)
    assert NEW_YORK.last_complete(just_before) == date(2026, 11, 25)
    assert NEW_YORK.last_complete(just_before + timedelta(seconds=1)) == thanksgiving_friday


@pytest.mark.parametrize(("exchange", "utc_close_hour"), [("XTKS", 6), ("XLON", 16), ("XNYS", 21)])
def test_each_exchange_has_its_own_clock(exchange: str, utc_close_hour: int) -> None:
    sessions = Sessions(exchange, timedelta(0))
    assert sessions.complete_at(date(2024, 1, 15 if exchange != "XNYS" else 16)).hour == utc_close_hour


def test_following_sessions_skip_weekends_and_holidays() -> None:
    assert NEW_YORK.following(date(2013, 3, 27), 3) == [date(2013, 3, 28), date(2013, 4, 1), date(2013, 4, 2)]


def test_an_unknown_exchange_is_refused_by_name() -> None:
    with pytest.raises(BadSetting, match="PIPELINE_EXCHANGE='NYSE9'"):
        Sessions("NYSE9").is_session(date(2020, 1, 2))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"horizon": 0}, "PIPELINE_HORIZON=0"),
        ({"source": "moon"}, "PIPELINE_SOURCE='moon'"),
        ({"symbols": "../../x"}, "PIPELINE_SYMBOLS"),
        ({"network": "gru"}, "PIPELINE_NETWORK='gru'"),
    ],
)
def test_nonsense_is_refused_with_the_variable_named(home: Path, overrides: dict[str, object], words: str) -> None:
    with pytest.raises(BadSetting) as caught:
        Settings.load(**overrides)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_come_from_the_environment_and_overrides_win(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_SYMBOLS", "IBM,AAPL")
    monkeypatch.setenv("PIPELINE_HORIZON", "3")
    settings = Settings.load(horizon=7, network=None)
    assert settings.symbols == ("AAPL", "IBM")
    assert settings.horizon == 7
    assert settings.home == home


@pytest.mark.parametrize("variable", ["PIPELINE_AIRFLOW_LINK", "PIPELINE_MLFLOW_LINK"])
@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "airflow.example", "//airflow.example", "ftp://airflow.example", "https://", "x y"],
)
def test_a_link_is_a_web_address(home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, address: str) -> None:
    monkeypatch.setenv(variable, address)
    with pytest.raises(BadSetting, match=f"{variable}=.*is not a web address"):
        Settings.load()


def test_a_link_may_have_a_port_and_a_path(home: Path) -> None:
    address = "https://bell.example:8443/airflow/"
    assert Settings.load(airflow_link=address, mlflow_link=address).airflow_link == address


def test_processes_that_do_not_read_dotenv_files_get_the_variables_that_have_a_value(home: Path) -> None:
    Path(".env").write_text("PIPELINE_SOURCE=yahoo\nPIPELINE_SYMBOLS=\nAIRFLOW_PORT=8181\n")
    assert env_file_values() == {"PIPELINE_SOURCE": "yahoo", "AIRFLOW_PORT": "8181"}
    assert Settings.load().source == "yahoo"
