"""Retired words are found wherever they stand, and only they."""

import pytest

from tools.wording import hits


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MLflow is away for a day", [(1, "is away")]),
        ("fine\nsymbols, by comma\n# Whoever reads it", [(2, "by comma"), (3, "Whoever")]),
        ("besides, hardly anything was mended", [(1, "hardly"), (1, "mended")]),
        ("nothing is amended, and hardware stands", []),
        ("DueDates come due-ly", [(1, "come due")]),
    ],
)
def test_a_retired_word_is_found_with_its_line(text: str, found: list[tuple[int, str]]) -> None:
    assert [(line, word) for line, word, _ in hits(text)] == found


def test_each_hit_says_what_to_write() -> None:
    ((_, _, instead),) = hits("the run is done anew")
    assert instead == "again, from scratch"
