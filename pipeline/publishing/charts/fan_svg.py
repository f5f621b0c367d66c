"""Fan charts as inline SVG. Colours are CSS classes of the report, so one drawing serves light and dark."""

from markupsafe import Markup, escape

from pipeline.publishing.charts.fan_layout import HEIGHT, WIDTH, fan_layout, spark_layout
from pipeline.publishing.charts.svg import drawing, path
from pipeline.publishing.edition import Fan
from pipeline.publishing.event_sentences import reports
from pipeline.publishing.formatting import decimals, price, short_day

_SPARK_WIDTH, _SPARK_HEIGHT = 120, 34


def fan_svg(fan: Fan) -> Markup:
    """Return the chart of one symbol, with a sentence for those who cannot see it."""
    chart = fan_layout(fan)
    x, y = chart.origin
    parts = [
        *(
            f'<path class="grid" d="M{chart.left:g} {at:.1f}H{chart.right:g}"/>'
            f'<text class="price" x="{chart.left - 7:g}" y="{at + 4:.1f}">{text}</text>'
            for at, text in chart.prices
        ),
        f'<path class="origin" d="M{x:g} {chart.top:g}V{chart.bottom:g}"/>',
        *(f'<path class="b{coverage}" d="{path(line)}Z"/>' for coverage, line in chart.bands.items()),
        *(f'<path class="reference" d="{path(line)}"/>' for line in chart.baseline),
        *(
            f'<g class="event"><title>{escape(f"{fan.symbol} {text}")}</title>'
            f'<path d="M{at:g} {chart.top:g}V{chart.bottom:g}"/>'
            f'<path class="mark" d="M{at - 5:g} {chart.top - 8:g}h10l-5 8Z"/></g>'
            for at, text in chart.events
        ),
        f'<path class="median" d="{path(chart.median)}"/>',
        f'<path class="close" d="{path(chart.closes)}"/>',
        f'<circle class="now" cx="{x:g}" cy="{y:.1f}" r="2.6"/>',
        *(f'<text class="day" x="{at:g}" y="{HEIGHT - 8}">{escape(text)}</text>' for at, text in chart.days),
        *(
            f'<text class="end{" mid" if place == 1 else ""}" x="{chart.right + 6:g}" y="{at + 4:.1f}">{text}</text>'
            for place, (at, text) in enumerate(chart.ends)
        ),
    ]
    return drawing("fan", WIDTH, HEIGHT, _sentence(fan), parts)


def spark_svg(fan: Fan) -> Markup:
    """Return the same at the size of a word: the last closes and the 80 % range."""
    closes, ribbon = spark_layout(fan, _SPARK_WIDTH, _SPARK_HEIGHT)
    return Markup(
        f'<svg class="spark" viewBox="0 0 {_SPARK_WIDTH} {_SPARK_HEIGHT}" aria-hidden="true">'
        f'<path class="b80" d="{path(ribbon)}Z"/><path class="close" d="{path(closes)}"/></svg>'
    )


def _sentence(fan: Fan) -> str:
    low, high = fan.range(90, -1)
    places = decimals(low, high)
    return (
        f"{fan.symbol}: last close {price(fan.last_close, places)}; nine closes in ten should lie between "
        f"{price(low, places)} and {price(high, places)} on {short_day(fan.targets[-1])}"
        f"{' (estimated)' if fan.estimated[-1] else ''}"
        f"{''.join(f'; {reports(event)}' for event in fan.outlook.moving)}"
    )
