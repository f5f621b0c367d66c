"""pyproject.toml declares what the code imports: no import relies on a package that only another package requires."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("pipeline", "dags", "plugins", "local", "docker")
DEVELOPMENT = ("tests", "benchmarks", "tools")
# Each list of requirements: the folders that it serves, and the lists that are installed with it.
SERVED = {
    "dependencies": (("pipeline",), ()),
    "airflow": (("dags", "plugins"), ("dependencies",)),
    "services": (("local", "docker"), ("dependencies", "airflow")),
    "dev": (DEVELOPMENT, ("dependencies", "airflow", "services", "build")),
}
# And the lists that each lock is compiled from.
LOCKED = {"requirements": ("dependencies", "airflow", "services", "build"), "requirements-dev": ("dev",)}

# Distributions whose import has another name.
IMPORTED_AS = {
    "apache-airflow": "airflow",
    "curl-cffi": "curl_cffi",
    "flask-cors": "flask_cors",
    "markdown-it-py": "markdown_it",
    "pillow": "PIL",
    "python-dotenv": "dotenv",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "universal-pathlib": "upath",
}
# Imported nowhere, and needed.
LOADED_BY_NAME = {
    "apache-airflow-providers-http": "dags/_notifications.py imports it as airflow.providers.http",
    "apache-airflow-providers-slack": "dags/_notifications.py imports it as airflow.providers.slack",
    "apache-airflow-providers-smtp": "dags/_notifications.py imports it as airflow.providers.smtp",
    "psycopg": "SQLAlchemy loads it for postgresql+psycopg://",
}
TOOLS = {
    "pytest-xdist": "started by the Makefile",
    "flask": "moto's server runs on it, and moto[s3] does not ask for it",
    "flask-cors": "the same",
    "import-linter": "a command of `make check`",
    "mypy": "a command of `make check`",
    "pandas-stubs": "types for mypy",
    "pre-commit": "runs .pre-commit-config.yaml",
    "ruff": "a command of `make check`",
    "types-psutil": "types for mypy",
}
# Imported inside benchmarks of other projects' models, in an environment of their own (`make .venv-peers`).
PEERS = {"darts", "neuralforecast", "pytorch_lightning"}


def modules_of(folders: Iterable[str]) -> dict[str, str]:
    """The top-level modules that files below these folders import, each with a file that does."""
    found: dict[str, str] = {}
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(name.partition(".")[0], str(path.relative_to(ROOT)))
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names | ours()}


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Call) and called(node.func) in ("import_module", "importorskip", "__import__"):
            yield from (arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant) and arg.value)


def called(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def ours() -> set[str]:
    """This project's packages, and the modules that Airflow loads by their stem from dags/ and plugins/."""
    return {
        *PRODUCT,
        *DEVELOPMENT,
        *(path.stem for folder in ("dags", "plugins") for path in (ROOT / folder).glob("*.py")),
    }


def required(*lists: str) -> dict[str, str]:
    """The distributions in these lists of pyproject.toml, normalized, by the module that each is imported as."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    known = {"dependencies": declared["project"]["dependencies"]}
    known |= declared["project"]["optional-dependencies"] | declared["dependency-groups"]
    names = [re.split(r"[\[<>=!~; ]", line)[0] for name in lists for line in known[name]]
    distributions = [re.sub(r"[-_.]+", "-", name).lower() for name in names]
    return {IMPORTED_AS.get(name, name.replace("-", "_")): name for name in distributions}


@pytest.mark.parametrize("name", SERVED)
def test_what_is_imported_is_required(name: str) -> None:
    folders, installed_too = SERVED[name]
    imported, known = modules_of(folders), required(name, *installed_too)
    missing = {module: path for module, path in imported.items() if module not in known and module not in PEERS}
    assert missing == {}, f"imported and not in {name} of pyproject.toml"


@pytest.mark.parametrize("name", SERVED)
def test_what_is_required_is_imported(name: str) -> None:
    imported, known = modules_of(SERVED[name][0]), required(name)
    unused = {distribution for module, distribution in known.items() if module not in imported}
    exceptions = set(TOOLS if name == "dev" else LOADED_BY_NAME)
    assert unused - exceptions == set(), f"in {name} of pyproject.toml and imported nowhere"


@pytest.mark.parametrize(
    ("exceptions", "names"), [(LOADED_BY_NAME, ("dependencies", "airflow", "services")), (TOOLS, ("dev",))]
)
def test_the_exceptions_are_required_and_not_imported(exceptions: dict[str, str], names: tuple[str, ...]) -> None:
    imported = modules_of(folder for name in names for folder in SERVED[name][0])
    unused = {distribution for module, distribution in required(*names).items() if module not in imported}
    assert set(exceptions) - unused == set(), "an exception that is none any more"


@pytest.mark.parametrize("lock", LOCKED)
def test_the_locks_pin_what_pyproject_declares(lock: str) -> None:
    text = (ROOT / f"{lock}.txt").read_text(encoding="utf-8")
    pinned = {re.sub(r"[-_.]+", "-", line).lower() for line in re.findall(r"^([\w.\-]+)(?=\[|==)", text, re.M)}
    assert set(required(*LOCKED[lock]).values()) - pinned == set(), f"run `make lock`: {lock}.txt is older"


def test_the_build_backend_is_locked_since_installations_are_made_without_isolation() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert declared["build-system"]["requires"] == declared["dependency-groups"]["build"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import scipy.stats", ["scipy.stats"]),
        ("from requests import get", ["requests"]),
        ("def late():\n    from markupsafe import Markup", ["markupsafe"]),
        ("from . import sibling", []),
        ("import a, b as c", ["a", "b"]),
        ("importlib.import_module('dotenv')", ["dotenv"]),
        ("pytest.importorskip('s3fs')", ["s3fs"]),
    ],
)
def test_every_form_of_import_is_seen(code: str, expected: list[str]) -> None:
    assert list(imports(ast.parse(code))) == expected
