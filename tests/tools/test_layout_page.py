"""The layout in docs/architecture.md is that of the code."""

from tools import layout


def test_the_page_shows_the_layout_of_the_code() -> None:
    page = layout.PAGE.read_text(encoding="utf-8")
    assert layout.written(page) == page, "run `make docs`"


def test_every_package_and_module_is_in_the_layout() -> None:
    shown = layout.layout()
    files = [path for path in layout.PACKAGE.rglob("*.py") if "migrations" not in path.parts]
    names = {path.name for path in files if path.parent != layout.PACKAGE and path.name != "__init__.py"}
    assert {name for name in names if f" {name} " not in shown} == set()


def test_a_page_changed_by_a_person_between_the_markers_is_restored() -> None:
    page = layout.PAGE.read_text(encoding="utf-8")
    assert layout.written(page.replace("| `errors` |", "| `mistakes` |")) == layout.written(page)


def test_imports_are_those_of_the_code() -> None:
    assert layout.imported("config", ["market", "storage", "tracking", "config"]) == {"market", "storage"}
