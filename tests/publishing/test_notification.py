"""Notifications of a run: the same content in every form, escaped for each."""

from dataclasses import replace
from datetime import date

import pytest

from pipeline.publishing import notification

EVIL = "<script>alert(1)</script> & {{ 7 * 7 }}"
RESULT = notification.Publication(
    as_of="2013-03-01",
    headline=f"2013-03-01 XNYS: {EVIL}",
    verdict="Today's network is published: LSTM, version 1",
    mlflow_url="https://mlflow.example/#/experiments/1/runs/r1",
)


def test_what_was_published_is_told_with_its_links() -> None:
    told = notification.published(
        RESULT, run="https://airflow.example/dags/d/runs/r", airflow="https://airflow.example/"
    )
    assert (told.event, told.session) == ("published", "2013-03-01")
    assert dict(told.links) == {
        "Report": "https://airflow.example/plugin/forecasts/forecasts/sessions/2013-03-01",
        "MLflow run": RESULT.mlflow_url,
        "Airflow run": "https://airflow.example/dags/d/runs/r",
    }
    assert "Today's network is published" in told.text
    assert "not investment advice" in told.text


def test_what_comes_from_outside_is_escaped_in_each_form() -> None:
    told = notification.published(RESULT, run=None, airflow="")
    assert "<script" not in told.html
    assert "&lt;script&gt;" in told.html
    assert "<script" not in told.slack
    assert "&amp; {{ 7 * 7 }}" in told.slack, "nobody takes it for a template"
    assert told.to_dict()["subject"] == f"Closing Bell {RESULT.headline}"


def test_where_nobody_knows_an_address_there_is_no_link() -> None:
    told = notification.published(replace(RESULT, mlflow_url=None), run=None, airflow="")
    assert dict(told.links) == {}
    assert "<a " not in told.html


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(document.cookie)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "//evil.example",
        "https://mlflow.example@evil.example/",
        "file:///etc/passwd",
    ],
)
def test_only_web_addresses_are_links(address: str) -> None:
    told = notification.published(replace(RESULT, mlflow_url=address), run=address, airflow=address)
    assert dict(told.links) == {}
    assert "href" not in told.html
    for form in (told.text, told.slack, str(told.to_dict())):
        assert address not in form


def test_an_address_cannot_leave_its_place() -> None:
    told = notification.stopped(None, ["x"], run='https://airflow.example/"><script>|<!channel>')
    assert "<script" not in told.html
    assert "<!channel" not in told.slack
    assert told.slack.count("|") == 1


def test_a_subject_is_one_line() -> None:
    told = notification.published(replace(RESULT, headline="a\r\nBcc: all@evil.example"), run=None, airflow="")
    assert told.subject == "Closing Bell a Bcc: all@evil.example"


@pytest.mark.parametrize(("session", "subject"), [("2013-03-01", "the run of 2013-03-01"), (None, "the run stopped")])
def test_where_a_run_stopped_is_in_the_subject(session: str | None, subject: str) -> None:
    told = notification.stopped(session, ["plan", "train"], run=None)
    assert subject in told.subject
    assert told.subject.endswith("stopped at plan, train")


def test_a_missed_open_names_both_days() -> None:
    told = notification.late("2013-03-01", date(2013, 3, 4), run=None)
    assert told.subject == "Closing Bell: no forecast from 2013-03-01 before the open of Monday 4 March 2013"


def test_a_trial_is_told_as_one_and_linked_to_its_own_edition() -> None:
    headline = "2013-03-01 XNYS: 1 symbol (trial: 1 of 5 symbols)"
    trial = replace(RESULT, edition="0001-3f9c01ab-77d21e90", headline=headline)
    told = notification.published(trial, run=None, airflow="https://airflow.example")
    assert told.links["Report"].endswith("/sessions/2013-03-01/0001-3f9c01ab-77d21e90")
    assert "(trial: 1 of 5 symbols)" in told.subject


def test_those_that_report_soon_are_in_every_form_escaped() -> None:
    line = f"AAPL reports Tuesday 22 January {EVIL}: range 2.1× the usual"
    told = notification.published(replace(RESULT, events=(line,)), run=None, airflow="")
    assert f"\n{line}.\n" in told.text
    assert f"{line}." in told.to_dict()["text"]
    assert "AAPL reports Tuesday 22 January &lt;script&gt;" in told.html
    assert "AAPL reports Tuesday 22 January &lt;script&gt;" in told.slack
