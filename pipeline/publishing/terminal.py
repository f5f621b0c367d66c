"""The newest forecasts as a table in the terminal, from nothing but a published folder."""

from datetime import date
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.publishing import words
from pipeline.publishing.edition import BASELINES
from pipeline.publishing.shelf import read_published
from pipeline.storage import Storage

_LOW, _HIGH = "0.1", "0.9"


def show(folder: Storage) -> RenderableType:
    """Return a published folder as a heading, the model and its reason, the 80 % ranges, and where the report lies.

    Raises MissingStep if nothing is published there, CorruptFile if it cannot be read.
    """
    published = read_published(folder)
    forecasts, manifest = published.forecasts, published.manifest
    as_of = date.fromisoformat(forecasts["as_of"])
    reason = str(manifest["decision"].get("reason") or "")
    parts: list[RenderableType] = [
        Text(f"Closing Bell · {forecasts['exchange']} · after the close of {words.day(as_of)}", style="bold"),
        Text(manifest["verdict"], style="yellow" if forecasts["model"] in BASELINES else "cyan"),
        Text(reason, style="dim"),
        Padding(_table(forecasts), (1, 0)),
        *(Text(f"{each['symbol']}: no forecast, {each['reason']}", style="yellow") for each in forecasts["withheld"]),
        Text("A range of 80 % is one that eight closes in ten should fall into. No advice.", style="dim"),
        Text(f"Report: {folder / 'report.html'}", style="dim", overflow="fold"),
    ]
    return Group(*parts)


def _table(forecasts: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    table.add_column("Symbol", style="bold", no_wrap=True)
    table.add_column("Last close", justify="right", no_wrap=True)
    longest = max((each["steps"] for each in forecasts["forecasts"]), key=len)
    for place in _places(longest):
        target = words.short_day(date.fromisoformat(longest[place]["target_session"]))
        table.add_column(f"{target}, 80 %", justify="right", no_wrap=True)
    mixed = any(each["model"] != forecasts["model"] for each in forecasts["forecasts"])
    if mixed:
        table.add_column("Model", no_wrap=True)
    for each in forecasts["forecasts"]:
        model = [Text(words.model_name(each["model"], each["model_version"]))] if mixed else []
        table.add_row(Text(each["symbol"]), *_cells(each), *model)
    return table


def _places(steps: list[Any]) -> list[int]:
    return [0] if len(steps) == 1 else [0, -1]


def _cells(forecast: dict[str, Any]) -> list[Text]:
    """The last close, then each range with its change beneath: two lines fit where two columns would not."""
    close, steps = forecast["last_close"], forecast["steps"]
    quantiles = [steps[place]["quantiles"] for place in _places(steps)]
    ranges = [(each[_LOW], each[_HIGH]) for each in quantiles]
    decimals = words.decimals(*ranges[0])
    cells = [Text(words.price(close, decimals))]
    for low, high in ranges:
        price, change = words.price_range(low, high, decimals), words.change(low, high, close)
        cells.append(Text.assemble((price, "cyan"), "\n", (change, "dim")))
    return cells
