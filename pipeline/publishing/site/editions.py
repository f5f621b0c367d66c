"""The editions of a session on the pages: the standing one, trials, and standing ones that were replaced."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import chain

from pipeline.errors import CorruptFile, MissingStep
from pipeline.publishing import archive, formatting, reader, verdict
from pipeline.publishing.published_files import Manifest, SymbolForecast
from pipeline.publishing.site import hit_rates
from pipeline.storage import Storage

# How many sessions to search backwards for a symbol that the newest edition lacks.
SESSIONS_BACK = 63


@dataclass(frozen=True, kw_only=True)
class SymbolEdition:
    """The newest edition that includes a symbol, with its forecast or the reason why it was withheld."""

    as_of: date
    name: str  # "" for the session's standing edition
    source: str
    label: str
    forecast: SymbolForecast | None
    withheld: str | None
    newer: date | None  # the newest session, where that edition is of an earlier one or of another kind


@dataclass(frozen=True, kw_only=True)
class EditionRow:
    """One edition in the list of sessions."""

    day: date
    address: str
    stands: bool
    label: str
    verdict: str
    reason: str
    model: str
    network: bool  # not a baseline
    source: str
    symbols: int
    withheld: int
    rates: hit_rates.Rates | None  # of the standing edition


def label(manifest: Manifest, *, stands: bool) -> str:
    """Return in words what kind of edition this is, "" for a standing one of the standing configuration.

    `stands` says that it is the session's standing edition, whatever its manifest asked for when it was published.
    """
    if note := verdict.trial_note(manifest.trial, standing=manifest.standing and stands):
        return note
    return "" if stands else "Replaced by a later edition of this session"


def links(root: Storage, base: str, as_of: date, *, shown: str | None) -> list[tuple[str, str]]:
    """Return title and address of the other editions of a session; `shown` is the name of the one on the page."""
    found = [("standing edition", f"{base}/sessions/{as_of}")] if shown and reader.is_published(root, as_of) else []
    others = [one.name for one in reader.other_editions(root, as_of) if one.name != shown]
    found += [(f"edition {int(name.partition('-')[0])}", f"{base}/sessions/{as_of}/{name}") for name in others]
    return found


def rows(root: Storage, base: str, as_of: date, rates: hit_rates.Rates | None) -> Iterator[EditionRow]:
    """Yield the row of each edition of a session, the standing one first. An edition being written is left out."""
    places = [(f"{base}/sessions/{as_of}", root / reader.folder_name(as_of), True)]
    places += [(f"{base}/sessions/{as_of}/{one.name}", root / one.place, False) for one in _newest_first(root, as_of)]
    for address, folder, stands in places:
        try:
            manifest = reader.read_manifest(folder)
        except MissingStep:
            continue
        decision = manifest.decision
        yield EditionRow(
            day=as_of,
            address=address,
            stands=stands,
            label=label(manifest, stands=stands),
            verdict=manifest.verdict,
            reason=decision.reason,
            model=formatting.model_name(decision.model, decision.model_version),
            network=not decision.is_baseline,
            source=manifest.source,
            symbols=manifest.symbols,
            withheld=manifest.withheld,
            rates=rates if stands else None,
        )


def newest_with(root: Storage, symbol: str) -> SymbolEdition | None:
    """Return the newest standing edition that includes a symbol, else the newest other one; None if there is none.

    Raises MissingStep where nothing at all is published.
    """
    first = reader.newest(root)
    days = list(reversed(reader.all_sessions(root)))[:SESSIONS_BACK]
    standing = ((day, "", root / reader.folder_name(day)) for day in days)
    others = ((day, one.name, root / one.place) for day in days for one in _newest_first(root, day))
    for day, name, folder in chain(standing, others):  # lazily: the first nearly always includes it
        try:
            published = reader.read_published(folder)
        except (MissingStep, CorruptFile):  # being written, or damaged: another may include it
            continue
        forecast, withheld = _of(published, symbol)
        if forecast is None and withheld is None:
            continue
        return SymbolEdition(
            as_of=day,
            name=name,
            source=published.manifest.source,
            label=label(published.manifest, stands=not name),
            forecast=forecast,
            withheld=withheld,
            newer=None if str(folder) == str(first) else _session_of(first),
        )
    return None


def symbols_next_to(root: Storage, as_of: date) -> set[str]:
    """Return the symbols of a session's other editions."""
    found: set[str] = set()
    for one in reader.other_editions(root, as_of):
        try:
            forecasts = reader.read_published(root / one.place).forecasts
        except (MissingStep, CorruptFile):
            continue
        found |= {*forecasts.symbols}
    return found


def _newest_first(root: Storage, as_of: date) -> list[archive.ArchivedEdition]:
    return list(reversed(reader.other_editions(root, as_of)))


def _of(published: reader.Published, symbol: str) -> tuple[SymbolForecast | None, str | None]:
    """Return an edition's forecast of a symbol, and the reason where it withholds one."""
    return published.forecasts.by_symbol.get(symbol), published.forecasts.reasons.get(symbol)


def _session_of(folder: Storage) -> date:
    return reader.read_manifest(folder).as_of
