"""The note on a run repeats what the run warns of."""

import run_notes


def test_the_note_ends_with_the_warnings_of_the_run():
    published = {"headline": "2026-12-24 XBOM: 2 symbols", "verdict": "Today's network is published"}
    assert run_notes.summary_of(published) == "2026-12-24 XBOM: 2 symbols. Today's network is published."
    warned = run_notes.summary_of({**published, "warnings": ["the calendar XBOM ends on 2026-12-31"]})
    assert warned.endswith("is published. Warning: the calendar XBOM ends on 2026-12-31.")
