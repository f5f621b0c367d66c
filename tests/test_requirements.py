"""The .in files list what the code imports: no import relies on a package that only another package asks for."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("pipeline", "dags", "plugins", "local", "docker")
DEVELOPMENT = ("tests", "benchmarks")

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
# Nobody imports these, and each is needed.
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


def required(*files: str) -> dict[str, str]:
    """The distributions that .in files name, normalized, by the module that each is imported as."""
    lines = [line for file in files for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    names = [re.split(r"[\[<>=!~; #]", line)[0] for line in lines if line and not line.startswith(("#", "-"))]
    distributions = [re.sub(r"[-_.]+", "-", name).lower() for name in names]
    return {IMPORTED_AS.get(name, name.replace("-", "_")): name for name in distributions}


@pytest.mark.parametrize(
    ("folders", "files"),
    [(PRODUCT, ("requirements.in",)), (DEVELOPMENT, ("requirements.in", "requirements-dev.in"))],
)
def test_what_is_imported_is_required(folders: tuple[str, ...], files: tuple[str, ...]) -> None:
    imported, known = modules_of(folders), required(*files)
    missing = {name: path for name, path in imported.items() if name not in known and name not in PEERS}
    assert missing == {}, f"imported and not in {' or '.join(files)}"


@pytest.mark.parametrize(
    ("file", "folders", "exceptions"),
    [
        ("requirements.in", PRODUCT, LOADED_BY_NAME),
        ("requirements-dev.in", DEVELOPMENT, TOOLS),
    ],
)
def test_what_is_required_is_imported(file: str, folders: tuple[str, ...], exceptions: dict[str, str]) -> None:
    imported, known = modules_of(folders), required(file)
    unused = {distribution for module, distribution in known.items() if module not in imported}
    assert unused - set(exceptions) == set(), f"in {file} and imported nowhere"
    assert set(exceptions) - unused == set(), "an exception that is none any more"


def test_the_locks_pin_what_the_in_files_name() -> None:
    for name in ("requirements", "requirements-dev"):
        lock = (ROOT / f"{name}.txt").read_text(encoding="utf-8")
        pinned = {re.sub(r"[-_.]+", "-", line).lower() for line in re.findall(r"^([\w.\-]+)(?=\[|==)", lock, re.M)}
        assert set(required(f"{name}.in").values()) - pinned == set(), f"run `make lock`: {name}.txt is older"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import scipy.stats", ["scipy.stats"]),
        ("from requests import get", ["requests"]),
        ("def late():\n    from markupsafe import Markup", ["markupsafe"]),
        ("from . import beside", []),
        ("import a, b as c", ["a", "b"]),
        ("importlib.import_module('dotenv')", ["dotenv"]),
        ("pytest.importorskip('s3fs')", ["s3fs"]),
    ],
)
def test_every_form_of_import_is_seen(code: str, expected: list[str]) -> None:
    assert list(imports(ast.parse(code))) == expected
