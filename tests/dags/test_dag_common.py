"""How what the pipeline reports ends a task, and how a run is named on disk."""

import re

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from pipeline import errors


@pytest.fixture(autouse=True)
def endings(dag_bag):
    """How tasks end, from the same folder."""
    import _endings

    return _endings


@pytest.fixture(autouse=True)
def shared(dag_bag):
    """What the DAGs share, from the folder that reading them put on the path."""
    import _dag_common

    return _dag_common


def kinds(*, retryable):
    every = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PipelineError)
    ]
    return [kind for kind in every if kind.retryable is retryable and kind is not errors.SessionNotAvailable]


@pytest.mark.parametrize("kind", kinds(retryable=False))
def test_what_no_retry_can_fix_fails_at_once_with_its_name_and_its_words(endings, kind):
    with pytest.raises(AirflowFailException, match=rf"^{kind.__name__}: NOPE is unknown$"), endings.in_airflow_words():
        raise kind("NOPE is unknown")


@pytest.mark.parametrize("kind", [*kinds(retryable=True), OSError, ValueError])
def test_everything_else_is_left_to_be_tried_again(endings, kind):
    with pytest.raises(kind) as caught, endings.in_airflow_words():
        raise kind("away")
    assert type(caught.value) is kind


def test_nothing_to_do_is_a_skip_with_its_reason(endings):
    with pytest.raises(AirflowSkipException, match="ends on 2013-03-01"), endings.in_airflow_words():
        raise errors.SessionNotAvailable("the source ends on 2013-03-01")


def test_only_filled_in_fields_count(shared):
    assert shared.filled_in({"symbols": "IBM", "as_of": None}, {"symbols": 0, "as_of": 0}) == {"symbols": "IBM"}


def test_a_field_the_form_does_not_have_is_refused_by_name(shared):
    with pytest.raises(errors.BadSetting, match="no such parameter: simbols; there are symbols, as_of"):
        shared.filled_in({"symbols": None, "simbols": "IBM"}, {"symbols": 0, "as_of": 0})


RUN_IDS = [
    "manual__2026-11-23T10:57:38.050643+00:00",
    "manual__2026-11-23T10:57:38.050643+00:00_WgnEJBHT",
    "scheduled__2013-02-25T21:30:00+00:00",
    "Mine",
    "mine",
    "a:b",
    "a+b",
    "a~b",
    "..",
    "x" * 250,
    "x" * 249 + "y",
]


def test_the_name_of_a_run_is_safe_on_every_file_system_and_no_other_runs(shared):
    names = [shared.run_key("daily_forecast", run_id) for run_id in RUN_IDS]

    assert all(re.fullmatch(r"daily_forecast__[A-Za-z0-9.-]{1,100}", name) for name in names)
    assert len({name.lower() for name in names}) == len(RUN_IDS)
    assert names == [shared.run_key("daily_forecast", run_id) for run_id in RUN_IDS]
    assert shared.run_key("backtest", "mine") != shared.run_key("daily_forecast", "mine")
