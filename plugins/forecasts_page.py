"""The entry "Forecasts" in Airflow's navigation.

Every Airflow process loads this file. The pages and their imports (one second, 40 MiB) are in a separate file, since
only the API server needs them.
"""

from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

PREFIX = "/forecasts"
# The icon of the entry: the fan of a forecast.
_ICON = (
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 20 20' fill='none' stroke='{ink}' "
    "stroke-width='1.6' stroke-linejoin='round' stroke-linecap='round'><path d='M2 12l3-4 3 3 3-2' />"
    "<path d='M11 9l7-6v13z' fill='{ink}' fill-opacity='.25' /></svg>"
)


class ForecastsPagePlugin(AirflowPlugin):
    """Adds the pages to the API server and the entry to its navigation."""

    name = "forecasts_page"
    external_views: list[Any] = [
        {
            "name": "Forecasts",
            "href": f"{urlsplit(conf.get('api', 'base_url', fallback='')).path.rstrip('/')}{PREFIX}/",
            "destination": "nav",
            "url_route": "forecasts",
            "nav_top_level": True,
            "icon": _ICON.format(ink="%23bf7d10"),  # readable on both backgrounds of the bar
            "icon_dark_mode": _ICON.format(ink="%23dda548"),
        }
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # imported by the API server alone
        """The application, for the API server."""
        from forecasts_app import app

        return [{"app": app, "url_prefix": PREFIX, "name": "Forecasts"}]
