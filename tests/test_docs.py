"""What the docs promise: messages that are really said, links that lead somewhere."""

import re
from pathlib import Path

import pytest

from pipeline import __version__
from pipeline.config import Settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("*.md")),
    ROOT / "kubernetes" / "README.md",
    ROOT / "tests" / "README.md",
]
# Said by others than this project.
FOREIGN = {"required variable … is missing a value", "-9", "Access denied for connection … by Execution API"}


def said() -> str:
    """All that the code may say, each text in one line."""
    folders = [ROOT / folder for folder in ("pipeline", "local", "docker", "dags", "plugins")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    # A text that goes on in the next line is one text.
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text() for path in files))


def test_every_message_of_the_troubleshooter_is_one_that_is_said() -> None:
    rows = re.findall(r"^\| [^|]*?`([^`]+)`", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(rows) >= 20
    code = said()
    parts = [(row, part.strip()) for row in rows if row not in FOREIGN for part in row.split("…")]
    assert [(row, part) for row, part in parts if part and part not in code] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_input_of_the_networks_is_documented() -> None:
    text = (ROOT / "docs" / "forecaster.md").read_text()
    documented = {
        name for row in re.findall(r"^\| (`[a-z_, `]+`) \|", text, re.MULTILINE) for name in row.split("`")[1::2]
    }
    assert set(Settings.model_fields["inputs"].default) - documented == set()


def test_the_changelog_has_the_version_or_what_comes_after_it() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1] == __version__


def test_public_files_of_the_project_name_its_licence() -> None:
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()
    for name in ("README.md", "CONTRIBUTING.md"):
        assert "(LICENSE)" in (ROOT / name).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_target_of_make_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make\s([a-z-]+)", page.read_text()))
    assert named - targets - {"the"} == set()  # a message says "make the file writable"


def test_every_path_and_test_that_the_contributor_guide_names_exists() -> None:
    quoted = re.findall(r"`([^`\s]+)`", (ROOT / "CONTRIBUTING.md").read_text())
    paths = [name for name in quoted if re.fullmatch(r"\.?[a-z]+/[\w./-]*", name)]
    assert len(paths) >= 40
    assert [name for name in paths if not (ROOT / name).exists()] == []
    tests = {name for name in quoted if re.fullmatch(r"test_\w+", name)}
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in sorted(tests) if f"def {name}(" not in written] == []
