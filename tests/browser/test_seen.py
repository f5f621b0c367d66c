"""What a person sees: sign in, trigger with other symbols, watch, look at the forecasts, follow them to MLflow.

The tests tell one story in their order. `BROWSER_PICTURES=FOLDER` keeps the pictures of README and docs.
"""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Heard, Site, sign_in

pytestmark = pytest.mark.browser

RUN_MS = 180_000


def keep(page: Page, name: str) -> None:
    if folder := os.environ.get("BROWSER_PICTURES"):
        page.wait_for_timeout(1500)  # charts and icons move into place
        page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.fixture(scope="module")
def run_url(signed_in: BrowserContext, site: Site) -> str:
    """The page of a run that the form was filled in for, when it has ended."""
    page = signed_in.new_page()
    page.goto(f"{site.airflow}/dags/daily_forecast")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    form.get_by_role("button", name="What to forecast").click()
    form.locator("input[name=element_symbols]").fill("AAPL, IBM")
    form.get_by_role("button", name="Trigger").click()
    page.wait_for_url(re.compile(r"/dags/daily_forecast/runs/manual__"))
    url = page.url.rstrip("/")
    expect(page.get_by_role("row", name=re.compile("^publish.*Success"))).to_be_visible(timeout=RUN_MS)
    expect(page.get_by_text("Running", exact=True)).to_have_count(0)
    page.close()
    return url


def test_a_stranger_is_sent_to_the_sign_in_and_back(chromium: Browser, site: Site) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site.airflow}/forecasts/record")
    assert "/auth/login" in page.url
    sign_in(page, site)
    page.wait_for_url("**/forecasts/record")
    expect(page.get_by_role("heading", name="Track record, next session")).to_be_visible()
    context.close()


def test_a_run_triggered_by_the_form_succeeds_and_says_what_it_published(page: Page, run_url: str) -> None:
    page.goto(run_url)
    note = r"2013-03-01 XNYS: 2 symbols, 5 sessions ahead, by .* \(trial: 2 of 5 symbols\)"
    expect(page.get_by_text(re.compile(note))).to_be_visible()
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    keep(page, "airflow")


def test_the_standing_report_is_under_forecasts(page: Page, site: Site, run_url: str) -> None:
    """The run by the form was a trial: it is listed, and has not taken the place of the report of all symbols."""
    page.goto(site.airflow)
    page.get_by_test_id("nav-sidebar").get_by_role("link", name="Forecasts").click()
    pages = page.frame_locator("iframe[title=Forecasts]")
    report = pages.frame_locator("iframe")
    rows = report.locator(".ranges tbody tr")
    names = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    expect(rows).to_have_count(len(names))
    assert [row.get_attribute("data-symbol") for row in rows.all()] == names
    report.locator("th[data-key=symbol] button").click()
    assert [row.get_attribute("data-symbol") for row in rows.all()] == names[::-1]
    report.locator("th[data-key=symbol] button").click()
    keep(page, "forecasts")


def test_sessions_symbols_and_the_record_are_a_click_away(page: Page, site: Site, run_url: str) -> None:
    page.goto(f"{site.airflow}/plugin/forecasts")
    pages = page.frame_locator("iframe[title=Forecasts]")
    pages.get_by_role("link", name="Sessions").click()
    expect(pages.get_by_role("link", name="Fri 1 Mar 2013", exact=True)).to_be_visible()
    pages.get_by_role("link", name="↳ Fri 1 Mar 2013").click()
    expect(pages.get_by_text("Trial: 2 of 5 symbols").first).to_be_visible()
    expect(pages.frame_locator("iframe").locator(".ranges tbody tr")).to_have_count(2)
    pages.get_by_role("link", name="Track record").click()
    expect(pages.get_by_text("No forecast has matured yet")).to_be_visible()
    pages.get_by_role("link", name="Symbols").click()
    pages.get_by_role("link", name="AAPL", exact=True).click()
    expect(pages.get_by_role("heading", name="AAPL")).to_be_visible()
    pages.get_by_placeholder("Go to a symbol").fill("ibm")
    pages.get_by_placeholder("Go to a symbol").press("Enter")
    expect(pages.get_by_role("heading", name="IBM")).to_be_visible()
    page.wait_for_url("**/plugin/forecasts/forecasts/symbols/IBM")


def test_the_report_leads_to_both_runs_out_of_airflows_frame(page: Page, site: Site, run_url: str) -> None:
    page.goto(f"{site.airflow}/plugin/forecasts")
    report = page.frame_locator("iframe[title=Forecasts]").frame_locator("iframe")
    for target in (f"{site.mlflow}/#/experiments/", f"{site.airflow}/dags/daily_forecast/runs/"):
        with page.context.expect_page() as opened:
            report.locator(f"dd a[href^='{target}']").click()
        assert opened.value.url.startswith(target)
        opened.value.close()


def test_the_log_of_a_training_tells_what_it_did(page: Page, run_url: str) -> None:
    page.goto(f"{run_url}/tasks/train")
    expect(page.get_by_text(re.compile(r"trained in \d"))).to_be_visible()


def test_a_training_leads_to_its_mlflow_run_with_curves_model_and_report(page: Page, site: Site, run_url: str) -> None:
    page.goto(f"{run_url}/tasks/train/details")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="MLflow run").click()
    mlflow = opened.value
    assert mlflow.url.startswith(f"{site.mlflow}/#/experiments/")
    expect(mlflow.get_by_role("heading", name="2013-03-01 lstm")).to_be_visible()
    expect(mlflow.get_by_role("link", name="daily-forecast").last).to_be_visible()
    expect(mlflow.get_by_text("Held out from training")).to_be_attached()
    if os.environ.get("BROWSER_PICTURES"):
        mlflow.get_by_role("button", name="Close").first.click()  # MLflow's assistant
        mlflow.get_by_text("Show more").first.click()
        keep(mlflow, "mlflow")

    mlflow.get_by_role("tab", name="Model metrics").click()
    mlflow.get_by_placeholder("Search metric charts").fill("validation_pinball")
    expect(mlflow.locator(".js-plotly-plot .scatterlayer path.js-line").first).to_be_attached()

    mlflow.get_by_role("tab", name="Artifacts").click()
    mlflow.get_by_text("scores", exact=True).click()
    mlflow.get_by_text("by_model.json", exact=True).click()
    expect(mlflow.get_by_text("View as table")).to_be_visible()
    mlflow.get_by_text("published", exact=True).click()
    mlflow.get_by_text("report.html", exact=True).click()
    report = mlflow.frame_locator("iframe")
    expect(report.get_by_role("heading", name="Forecast ranges for Monday 4 March 2013")).to_be_visible()
    mlflow.close()


def test_runs_compare_by_the_view_of_their_scores(page: Page, site: Site, run_url: str) -> None:
    page.goto(f"{site.mlflow}/#/experiments/1/runs?viewStateShareKey=scores")
    for column in ("crps_bp", "coverage_90"):
        expect(page.get_by_role("columnheader", name=column, exact=True).first).to_be_attached()


@pytest.mark.usefixtures("run_url")
def test_no_page_had_an_error(heard: Heard) -> None:
    """Last of all: of every page that the tests above have opened."""
    assert heard.problems == []
