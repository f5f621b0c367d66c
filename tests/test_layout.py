"""The layout of the package: few modules at the root, no name twice, tests where the code is."""

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pipeline"
MODULES = [path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts]


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
