"""The note on a run: escaped, within Airflow's limit, and never over one that a person has written."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import run_notes

from pipeline.tracking.markdown import escape


def run_with(note: str | None, states: dict[str, list[tuple[str, int]]] | None = None) -> Any:
    def instances(wanted: list[str], session: Any) -> list[Any]:
        return [
            SimpleNamespace(task_id=task, map_index=at, end_date=order)
            for state in wanted
            for order, (task, at) in enumerate((states or {}).get(state, []))
        ]

    return SimpleNamespace(note=note, dag_id="daily_forecast", run_id="manual", get_task_instances=instances)


@pytest.mark.parametrize("text", ["short", "*" * 3000, "_x_ " * 600, "<b>&" * 400, "1. " * 500, "a\\" * 900])
@pytest.mark.parametrize("links", ["", "[Report](/x)"])
def test_a_note_fits_and_no_escape_is_cut_in_half(text: str, links: str) -> None:
    run = run_with(None)

    run_notes.write_note(run, "**Stopped.**", text, links)

    assert len(run.note) <= 1000
    assert run.note.endswith(links)
    shown = run.note.removesuffix(links).rstrip().removeprefix("**Stopped.** ")
    kept = shown.removesuffix(" …")
    assert any(kept == escape(text[:end]) for end in range(len(text) + 1))
    assert (kept == shown) is (escape(text) == shown)


@pytest.mark.parametrize(("note", "stays"), [("mine", True), ("**Stopped.** plan", False), (None, False), ("", False)])
def test_a_note_of_a_person_stays(note: str | None, stays: bool) -> None:
    run = run_with(note)

    run_notes.write_note(run, "**Published.**", "new", "")

    assert run.note == (note if stays else "**Published.** new")


@pytest.mark.parametrize(
    ("failed", "left", "reasons"),
    [
        ([("plan", -1)], {("plan", -1): "BadSymbol: a: b"}, ["plan: BadSymbol: a: b"]),
        (
            [("ingest", 0), ("ingest", 1), ("ingest", 2)],
            {("ingest", 0): "RateLimited: x", ("ingest", 1): "NoData: y", ("ingest", 2): "RateLimited: x"},
            ["ingest ×2: RateLimited: x", "ingest: NoData: y"],
        ),
        ([("train", -1)], {}, [f"train: {run_notes.NO_REASON}"]),  # killed: nobody was left to say why
        ([], {("score", -1): "of a try that was repeated"}, []),
    ],
)
def test_each_failed_task_is_named_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, failed: Any, left: Any, reasons: list[str]
) -> None:
    monkeypatch.setattr(run_notes, "left_by", lambda *_: left)

    run = run_with(None, {"failed": failed})
    assert run_notes.reasons_of(run, "failed", None, without=run_notes.NO_REASON) == reasons


@pytest.mark.parametrize(
    ("msg", "left", "note"),
    [
        ("task_failure", {}, f"train: {run_notes.NO_REASON}"),
        ("Dag Run's state was manually set to `failed`.", {}, "The run was marked as failed manually."),
        (
            "Dag Run's state was manually set to `failed`.",
            {("train", -1): "StoreError: full"},
            "train: StoreError: full",
        ),
    ],
)
def test_a_run_that_somebody_ends_is_not_one_whose_task_was_killed(
    monkeypatch: pytest.MonkeyPatch, msg: str, left: Any, note: str
) -> None:
    run = run_with(None, {"failed": [("train", -1)]})
    monkeypatch.setattr(run_notes, "left_by", lambda *_: left)
    monkeypatch.setattr(run_notes, "attached_run", lambda _: nullcontext((run, None)))

    run_notes.RunNotes().on_dag_run_failed(run, msg)

    assert run.note == f"**Stopped.** {escape(note)}"


def test_of_skipped_tasks_only_the_one_that_decided_it_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_notes, "left_by", lambda *_: {("plan", -1): "nothing to do"})
    run = run_with(None, {"skipped": [("plan", -1), ("train", -1), ("publish", -1)]})

    assert run_notes.reasons_of(run, "skipped", None) == ["plan: nothing to do"]


@pytest.mark.parametrize(
    ("published", "links"),
    [
        ({"as_of": "2013-03-01", "mlflow_url": None}, "[Report](/plugin/forecasts/forecasts/sessions/2013-03-01)"),
        (
            {"as_of": "2013-03-01", "mlflow_url": "javascript:alert(1)"},
            "[Report](/plugin/forecasts/forecasts/sessions/2013-03-01) · MLflow run",
        ),
    ],
)
def test_links_lead_to_the_report_and_to_the_mlflow_run(published: dict[str, Any], links: str) -> None:
    assert run_notes.links_of(published) == links
