"""A predefined view of an experiment's runs: the few columns to compare runs by.

It is a tag of the experiment, as MLflow's own *Save as new view* writes it. MLflow 3.17 lists it under *Views*, and
opens it for `viewStateShareKey=scores` in a URL. A version without this feature ignores the tag.
"""

import base64
import json
import zlib

NAME = "Scores"
_COLUMNS = (
    "attributes.`Models`",
    "tags.`gate`",
    "metrics.`crps_bp`",
    "metrics.`crps_bp_best_baseline`",
    "metrics.`skill_percent`",
    "metrics.`skill_p`",
    "metrics.`coverage_90`",
)
_STATE = {
    "searchFilter": "",
    "orderByKey": "attributes.start_time",
    "orderByAsc": False,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "selectedColumns": list(_COLUMNS),
    "columnOrder": [],
    "columnWidths": {},
    "runsHiddenMode": "FIRST_10_RUNS",
    "viewMaximized": False,
    "runListHidden": False,
    "isAccordionReordered": False,
    "useGroupedValuesInCharts": True,
    "hideEmptyCharts": True,
    "groupBy": None,
    "groupsExpanded": {},
    "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
}


def view_tag() -> dict[str, str]:
    """Return the tag of an experiment that contains the view."""
    packed = base64.b64encode(zlib.compress(json.dumps(_STATE).encode())).decode()
    view = {"name": NAME, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"}
    return {f"mlflow.sharedViewState.{NAME.lower()}": json.dumps(view)}
