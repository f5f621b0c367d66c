"""The description of a daily run's MLflow run in Markdown: decision, scores, prices and code.

It is made from the run's own tags and dataset, so that they always agree. Each value is escaped, because symbols,
reasons and names may come from a price file or a vendor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipeline.evaluation.decision import Decision
from pipeline.evaluation.gate import best_baseline
from pipeline.evaluation.model_scores import CHAMPION, Scores, SessionScores, flat
from pipeline.forecast_schema import BASELINES, RANGES
from pipeline.storage.urls import web_link
from pipeline.tracking.dataset import Extent
from pipeline.tracking.event_scores import event_markdown
from pipeline.tracking.markdown import code, escape, link

_COLUMNS = {
    "crps_bp": ("CRPS, bp", "{:.2f}", 1),
    **{f"coverage_{share}": (f"{share} % coverage", "{:.1f} %", 100) for share in RANGES},
    "mae_over_random_walk": ("MAE / random walk", "{:.3f}", 1),
    "direction": ("direction right", "{:.1f} %", 100),
    "up": ("if always up", "{:.1f} %", 100),
    "rank_ic": ("rank IC", "{:+.3f}", 1),
    "rank_ic_t": ("its t", "{:+.1f}", 1),
}

_TESTED = {"skill_percent": "{:+.2f}", "t": "{:.2f}", "p": "{:.3f}", "p_holm": "{:.3f}"}


def describe(tags: Mapping[str, str], dataset: Extent, scores: Scores, decision: Decision | None) -> str:
    """Return the description of a run in Markdown; without a decision it says that the gate has not decided yet."""
    sections = {
        "Decision": _decision(decision),
        "Scores": _quality(scores, tags.get("network", ""), decision),
        "Prices": prices_section(tags, dataset),
        "Code": code_section(tags),
    }
    return "\n\n".join(f"### {title}\n{text}" for title, text in sections.items())


def gate(decision: Decision) -> str:
    """Return the gate's outcome as a tag: one phrase, which begins with `suspect` if there are alarms."""
    if decision.promoted:
        did = "challenger promoted" if decision.registered else "challenger passed, not promoted (trial)"
    else:
        did = "champion kept" if decision.champion_stays else "baseline published"
    return f"suspect: {did}" if decision.suspect else did


def _decision(decision: Decision | None) -> str:
    if decision is None:
        return "The gate has not decided yet."
    champion, trial = decision.champion, decision.trial
    registered = decision.promoted or decision.champion_stays
    published = f"**{escape(decision.model)}**" + (
        f", daily-forecast version {escape(decision.model_version)}" if registered else ""
    )
    before = (
        "The previous champion was version {version} ({network}, as of {as_of}).".format_map(_Known(asdict(champion)))
        if champion
        else _sentence(decision.no_champion or "no champion was compared")
    )
    text = f"Published: {published} – {gate(decision)}. {_sentence(decision.reason)} {before}"
    return f"**Trial:** {escape('; '.join(trial))}.\n\n{text}" if trial else text


def _quality(scores: Scores, network: str, decision: Decision | None) -> str:
    if not scores.models:
        return "There are no held-out sessions yet, so nothing was scored."
    best = best_baseline(scores.models, BASELINES)
    rows = [_row(label, values, _role(label, network, best, decision)) for label, values in scores.by_label.items()]
    span = {name: getattr(scores, name) for name in ("first", "last", "sessions", "windows")}
    head = ["model", *(title for title, _, _ in _COLUMNS.values())]
    return (
        "Held out from training: {first} to {last}, {sessions} sessions, {windows} windows; the same for every model. "
        "Lower CRPS is better.\n\n".format_map(_Known(span))
        + "\n".join([_line(head), _line(["---"] + ["---:"] * len(_COLUMNS)), *rows])
        + "".join(f"\n\n{part}" for part in (_comparisons(scores), event_markdown(scores), _suspects(scores)) if part)
    )


def _comparisons(scores: Scores) -> str:
    """Return each trained model against each baseline, with the test of the difference."""
    rows = [
        _line([
            f"{escape(label)} against {escape(row.baseline)}",
            *(_cell(getattr(row, name), form, 1) for name, form in _TESTED.items()),
        ])
        for label, row in scores.compared
    ]  # fmt: skip
    head = _line(["CRPS, one-sided Diebold–Mariano test", "skill, %", "t", "p", "p (Holm)"])
    return "\n".join([head, _line(["---"] + ["---:"] * len(_TESTED)), *rows]) if rows else ""


def _suspects(scores: Scores) -> str:
    """Return the alarms of each model whose scores are too good to be true."""
    return "\n\n".join(
        f"**Suspect: {escape(name)}.** {_sentence(' and '.join(alarms))}" for name, alarms in scores.suspects.items()
    )


def _row(name: str, scores: SessionScores, role: str) -> str:
    values = flat(scores)
    cells = (_cell(values.get(score), form, factor) for score, (_, form, factor) in _COLUMNS.items())
    return _line([f"{escape(name)} ({role})" if role else escape(name), *cells])


def _role(name: str, network: str, best: str | None, decision: Decision | None) -> str:
    if name == network:
        return "challenger"
    champion = decision.champion if decision else None
    if name == CHAMPION:
        return f"version {escape(champion.version)}" if champion else ""
    return "best baseline" if name == best else "baseline"


def prices_section(tags: Mapping[str, str], dataset: Extent | None = None) -> str:
    """Return which prices a run used: source, symbols, snapshot, and what was held back."""
    known_as_of = "" if dataset is None else ", known as of {as_of}"
    sessions = "" if dataset is None else ", sessions {first} to {last}, {rows} rows"
    events = ""
    held_back = f" Bars held back: {escape(tags['held_back'])}." if "held_back" in tags else ""
    if "events" in tags:
        events = f" Scheduled events: {escape(tags['events'])}. SHA-256 {code(tags.get('events_sha256', '?'))}."
    held_back += f" Data quality: {escape(tags['data_quality'])}." if "data_quality" in tags else ""
    known = {**tags, **({} if dataset is None else _known(dataset))}
    return (
        (
            f"Source {{source}}, exchange {{exchange}}{known_as_of}: {{symbol_count}} symbols ({{symbols}}){sessions}. "
            "Snapshot SHA-256 {data_sha256}."
        ).format_map(_Known(known, as_code=("source", "data_sha256")))
        + held_back
        + events
    )


def code_section(tags: Mapping[str, str]) -> str:
    """Return which commit made a run, and its Airflow run with a link."""
    origin = {name.removeprefix("airflow."): value for name, value in tags.items() if name.startswith("airflow.")}
    url = origin.pop("url", None)
    by = ", ".join(f"{escape(name.replace('_', ' '))} {code(value)}" for name, value in sorted(origin.items()))
    return f"Git commit {code(tags.get('git_commit', '?'))}. " + (
        f"{link('Airflow run', url)}: {by}." if by else "Started from the command line."
    )


def version_note(tags: Mapping[str, str], scores: Scores, decision: Decision, run_url: str | None) -> str:
    """Return the description of a registered version in Markdown: training, scores, decision and links.

    `tags` are those of the run that trained it, `scores` and `decision` those of the gate.
    """
    network = tags.get("network", "")
    best = best_baseline(scores.models, BASELINES)
    trained_scores = scores.models.get(network)
    trained = "{network}, trained on {symbol_count} symbols of {source} up to {as_of}."
    told = [trained.format_map(_Known(tags))]
    if trained_scores is not None and best is not None:
        baseline_crps = scores.models[best].crps_bp
        skill = 100 * (1 - trained_scores.crps_bp / baseline_crps)
        told.append(
            f"On {escape(scores.sessions)} sessions held out from training ({escape(scores.first)} to "
            f"{escape(scores.last)}): CRPS {trained_scores.crps_bp:.2f} bp, the best baseline {escape(best)} "
            f"{baseline_crps:.2f}: skill {skill:+.2f} %. "
            f"Coverage of the 90 % range: {100 * trained_scores.coverage[90]:.1f} %."
        )
    told.append(f"Gate: {gate(decision)}. {_sentence(decision.reason)}")
    links = {"MLflow run": run_url, "Airflow run": tags.get("airflow.url")}
    told.append(" · ".join(link(title, url) for title, url in links.items() if web_link(url)))
    return "\n\n".join(text for text in told if text)


def _known(extent: Extent) -> dict[str, Any]:
    return {name: value for name, value in asdict(extent).items() if value is not None}


class _Known(dict[str, Any]):
    """Values as Markdown, escaped or as code spans, and a question mark for unknown ones."""

    def __init__(self, values: Mapping[str, Any], as_code: Sequence[str] = ()) -> None:
        super().__init__(values)
        self.as_code = as_code

    def __getitem__(self, key: str) -> str:
        value = self.get(key, "?")
        return code(value) if key in self.as_code else escape(value)


def _cell(value: Any, form: str, factor: int) -> str:
    return form.format(factor * value) if isinstance(value, int | float) else "–"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _sentence(text: str) -> str:
    text = text.strip()
    text = escape(text[:1].upper() + text[1:])
    return text if text.endswith((".", "!", "?")) else f"{text}."
