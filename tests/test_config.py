"""Settings: where they come from, and how invalid ones are refused."""

from pathlib import Path

import pytest

from pipeline.config import Overrides, Settings, env_file_values
from pipeline.errors import BadSetting
from pipeline.events.event_sources import event_source_of


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


def test_overrides_of_a_request_win_over_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_HORIZON", "3")
    asked = Overrides({"horizon": 7, "symbols": "IBM"})
    assert asked.settings() == Settings.load(horizon=7, symbols="IBM")


def test_an_override_that_is_no_setting_is_refused_by_name() -> None:
    with pytest.raises(BadSetting, match=r"no such setting: horzion; there are .*horizon"):
        Overrides({"horzion": 7})


@pytest.mark.parametrize(
    ("source", "events", "stored_as"),
    [
        ("sample", "", "sample"),
        ("yahoo", "", "yahoo"),
        ("files", "", "none"),
        ("yahoo", "none", "none"),
        ("files", "Yahoo", "yahoo"),
        ("sample", "dates.csv", "files"),
    ],
)
def test_events_come_with_the_prices_unless_another_source_is_named(
    home: Path, source: str, events: str, stored_as: str
) -> None:
    settings = Settings.load(source=source, events=events)
    assert event_source_of(settings) == stored_as
    if stored_as == "files":
        assert settings.events == str(home.parent / events)


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
