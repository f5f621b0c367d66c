from pathlib import Path

import pytest

from pipeline.database.engine import open_database
from tests.events.event_desk import EventDesk, report


@pytest.fixture
def desk(tmp_path: Path) -> EventDesk:
    """A desk before its first day, whose vendor lists a past report and one to come of each of two shares."""
    announced = [
        report("AAA", "2019-11-05", time="after_close"),
        report("AAA", "2020-02-11", confirmed=False),
        report("BBB", "2019-11-12"),
        report("BBB", "2020-02-20", time="before_open"),
    ]
    return EventDesk(open_database(f"sqlite:///{tmp_path / 'p.db'}"), tmp_path, announced)
