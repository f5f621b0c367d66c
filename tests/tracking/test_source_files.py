"""The files that travel with a served model, and that decide whether a fold is reused, are computed from imports."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRINTED = """
from pipeline.tracking.source_files import PACKAGE, needed_by
served = PACKAGE / "tracking" / "served_model.py"
print(*(path.relative_to(PACKAGE) for path in needed_by(served, annotations={annotations})))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the package that a test may change."""
    ignored = shutil.ignore_patterns("__pycache__", "site", "report")
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=ignored)
    return tmp_path


def served_files(checkout: Path, *, annotations: bool = False) -> set[str]:
    code = PRINTED.format(annotations=annotations)
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def append(path: Path, text: str) -> None:
    path.write_text(f"{path.read_text()}\n{text}\n")


@pytest.mark.parametrize(
    "statement",
    [
        "import pipeline.modeling.data.added",
        "from pipeline.modeling.data.added import VALUE",
        "from pipeline.modeling.data import added",
        "def later():\n    from pipeline.modeling.data import added",
    ],
)
def test_a_module_that_joins_the_chain_of_imports_travels(checkout: Path, statement: str) -> None:
    before = served_files(checkout)
    (checkout / "pipeline/modeling/data/added.py").write_text("import pipeline.modeling.data.further\nVALUE = 1\n")
    (checkout / "pipeline/modeling/data/further.py").write_text("")
    assert served_files(checkout) == before, "no module imports them yet"
    append(checkout / "pipeline/modeling/data/features.py", statement)
    assert served_files(checkout) - before == {"modeling/data/added.py", "modeling/data/further.py"}


def test_a_module_that_only_annotations_name_travels_with_no_model_but_counts_for_reuse(checkout: Path) -> None:
    before, whole = served_files(checkout), served_files(checkout, annotations=True)
    (checkout / "pipeline/modeling/data/added.py").write_text("")
    append(
        checkout / "pipeline/modeling/data/features.py", "if TYPE_CHECKING:\n    import pipeline.modeling.data.added"
    )
    assert served_files(checkout) == before
    assert served_files(checkout, annotations=True) - whole == {"modeling/data/added.py"}


def test_neither_commands_nor_steps_nor_airflow_travel(checkout: Path) -> None:
    packages = {name.partition("/")[0] for name in served_files(checkout)}
    assert packages & {"cli", "jobs", "publishing", "evaluation", "database"} == set()
