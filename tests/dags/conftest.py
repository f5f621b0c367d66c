"""Airflow for the tests of the DAGs: the DAGs as its own loader reads them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture(scope="session")
def read_dags() -> Callable[[], BundleDagBag]:
    return lambda: BundleDagBag(DAGS, bundle_path=DAGS, bundle_name="dags-folder")


@pytest.fixture(scope="session")
def dag_bag(read_dags: Callable[[], BundleDagBag]) -> BundleDagBag:
    return read_dags()


@pytest.fixture(scope="session")
def daily_forecast(dag_bag: BundleDagBag) -> DAG:
    return dag_bag.dags["daily_forecast"]
