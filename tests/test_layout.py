"""The layout of the package: few modules at the root, no name twice, tests where the code is, types in signatures."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pipeline"
MODULES = [path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts]
Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
UNTYPED = re.compile(r"\b(?:dict|Mapping|MutableMapping)\[(?:str|Any), (?:Any|object)\]")


def test_the_root_of_the_package_holds_at_most_seven_modules() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 7


def test_no_two_modules_or_packages_share_a_name() -> None:
    names = Counter(path.parent.name if path.name == "__init__.py" else path.stem for path in MODULES)
    assert [name for name, count in names.items() if count > 1] == []


def test_tests_mirror_the_packages() -> None:
    packages = {path.parent.relative_to(PACKAGE) for path in MODULES if path.parent != PACKAGE}
    folders = {path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("*") if path.is_dir()}
    top = {package.parts[0] for package in packages}
    assert top - {str(folder) for folder in folders} == set()
    apart = {"benchmarks", "browser", "dags", "distributed", "fire", "local", "plugins", "tools", "wheel", "data"}
    mirrored = {folder for folder in folders if folder.parts[0] not in apart and "__pycache__" not in folder.parts}
    assert sorted(mirrored - packages) == []


def test_no_public_signature_or_field_has_an_untyped_dictionary() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, Named) and not node.name.startswith("_")
        if any(UNTYPED.search(annotation) for annotation in annotations_of(node))
    ]
    assert found == [], "give it a type: a frozen dataclass, or JsonValue where it is any JSON"


def annotations_of(node: Named) -> list[str]:
    """Return the annotations of a function's arguments and result, or of a class's fields."""
    if isinstance(node, ast.ClassDef):
        return [ast.unparse(each.annotation) for each in node.body if isinstance(each, ast.AnnAssign)]
    given = node.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    annotations = [node.returns, *(argument.annotation for argument in arguments)]
    return [ast.unparse(annotation) for annotation in annotations if annotation is not None]


@pytest.mark.parametrize(
    ("code", "untyped"),
    [
        ("def name(rows: Sequence[Mapping[str, Any]]) -> None: ...", True),
        ("def name(*, values: 'dict[str, object]') -> None: ...", True),
        ("def name() -> dict[str, Any]: ...", True),
        ("class Name:\n    values: Mapping[str, Any]", True),
        ("def name(value: Any, counts: dict[str, int]) -> Mapping[str, JsonValue]: ...", False),
    ],
)
def test_an_untyped_dictionary_is_found_wherever_it_stands(code: str, untyped: bool) -> None:
    (node,) = ast.parse(code).body
    assert isinstance(node, Named)
    assert any(UNTYPED.search(annotation) for annotation in annotations_of(node)) == untyped
