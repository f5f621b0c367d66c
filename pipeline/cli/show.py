"""The command `show`: published forecasts as a table, or some symbols in detail."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType

from pipeline.cli import options as option
from pipeline.cli.output import print_json, print_result
from pipeline.errors import BadSession, BadSymbol
from pipeline.storage.documents import to_document

if TYPE_CHECKING:
    from pipeline.publishing.matured_forecasts import MaturedForecast
    from pipeline.publishing.reader import Published
    from pipeline.storage import Storage


class Sort(StrEnum):
    """The sort orders of the table of `show`."""

    SYMBOL = "symbol"
    WIDTH = "width"
    CHANGE = "change"


Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SYMBOL]...", help="symbols to show in detail", autocompletion=option.published_symbols),
]
By = Annotated[Sort, typer.Option(help="symbol, width (of the range, widest first) or change (of the last close)")]
Edition = Annotated[str | None, typer.Option(help="another edition of the session, by number or name; needs --as-of")]
Top = Annotated[int | None, typer.Option(min=1, help="maximum number of symbols")]


def show(
    symbols: Names = None,
    as_of: option.AsOf = None,
    edition: Edition = None,
    sort: By = Sort.SYMBOL,
    top: Top = None,
    as_json: option.AsJson = False,
) -> None:
    """Show the latest published forecasts, or those of a session; with symbols, show these in detail.

    Without a standing edition the newest trial is shown.
    """
    from pipeline.config import Settings
    from pipeline.publishing import reader
    from pipeline.publishing.terminal import overview

    published_at = Settings.load().published
    day = option.date_of(as_of)
    if edition is not None and day is None:
        raise BadSession(f"--edition {edition}: name its session too, as in --as-of 2013-02-28")
    folder = reader.newest(published_at) if day is None else reader.edition_of(published_at, day, edition)
    published = reader.read_published(folder, verify=as_json)
    if symbols:
        names = _found(published, symbols)
        record = reader.read_record(folder, names)
        print_result(as_json, _chosen(published, names, record), "" if as_json else _details(published, names, record))
    elif as_json:
        rows = overview.order(published.forecasts.forecasts, sort.value, top)
        print_json(to_document(replace(published.forecasts, forecasts=tuple(rows))))
    else:
        print_result(False, None, overview.Overview(published=published, sort=sort.value, top=top))


def overview(folder: "Storage") -> RenderableType:
    """Return a published folder as a table. Raises MissingStep if nothing is published there."""
    from rich.text import Text

    from pipeline.publishing import reader
    from pipeline.publishing.terminal import overview

    published = reader.read_published(folder)
    table = overview.Overview(published=published)
    if published.manifest.standing:
        return table
    return Group(
        table,
        Text("`latest` was not moved: --latest moves it; settings in .env are standing."),
    )


def _found(published: "Published", words: Sequence[str]) -> list[str]:
    """Return the requested symbols in capitals. Raises BadSymbol with similar ones for an unknown symbol."""
    from difflib import get_close_matches

    there = published.forecasts.symbols
    names = list(dict.fromkeys(name.upper() for word in words for name in word.replace(",", " ").split()))
    for name in names:
        if name not in there:
            near = get_close_matches(name, there, n=3, cutoff=0.5)
            hint = f"similar: {', '.join(near)}" if near else "`closing-bell show` lists the published symbols"
            raise BadSymbol(f"{name} is not published for {published.forecasts.as_of}; {hint}")
    return names


def _chosen(published: "Published", names: Sequence[str], record: "list[MaturedForecast]") -> dict[str, object]:
    forecasts = published.forecasts
    chosen = replace(
        forecasts,
        forecasts=tuple(row for row in forecasts.forecasts if row.symbol in names),
        withheld=tuple(row for row in forecasts.withheld if row.symbol in names),
    )
    return {**to_document(chosen), "record": record}


def _details(published: "Published", names: Sequence[str], record: "list[MaturedForecast]") -> RenderableType:
    from rich.text import Text

    from pipeline.publishing import verdict
    from pipeline.publishing.terminal.symbol_text import Detail

    forecasts, manifest = published.forecasts, published.manifest
    by_symbol, withheld = forecasts.by_symbol, forecasts.reasons
    stand_ins = {row.symbol: row.reason for row in manifest.decision.fallbacks}
    parts: list[RenderableType] = []
    if note := verdict.trial_note(manifest.trial, standing=published.manifest.standing):
        parts.append(Text(note, style="yellow"))
    for name in names:
        if parts:
            parts.append("")
        if name in withheld:
            parts.append(Text(f"{name}: no forecast, {withheld[name]}", style="yellow"))
            continue
        parts.append(
            Detail(
                forecast=by_symbol[name],
                record=[row for row in record if row.symbol == name],
                as_of=forecasts.as_of,
                model=forecasts.model,
                reason=f"{manifest.verdict}. {manifest.decision.reason}".rstrip(),
                stand_in=stand_ins.get(name),
            )
        )
    return Group(*parts)
