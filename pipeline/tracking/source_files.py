"""The source files that a module of this package needs: what it imports, directly or through other modules.

For the model that MLflow serves, which carries its own code, and for results that are reused only while the code that
made them is unchanged.
"""

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def needed_by(*modules: Path) -> list[Path]:
    """Return `modules` and every file of this package that they import, sorted.

    Imports inside functions and under TYPE_CHECKING count too. A package's `__init__.py` counts where the package or
    anything in it is imported, as Python runs it then.
    """
    waiting, found = list(modules), set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in _imported(path) for file in _files_of(name)]
    return sorted(found)


@cache  # parsing takes most of the time of registering a model, and the sources of a running process stay as they are
def _imported(path: Path) -> list[str]:
    """Return the dotted names that a file imports: for `from a import b` both `a` and `a.b`, which may be a module."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += (f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _files_of(name: str) -> list[Path]:
    """Return the files that Python runs to import a dotted name, none for another package's."""
    first, *parts = name.split(".")
    if first != PACKAGE.name:
        return []
    places = [PACKAGE.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    candidates = [file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))]
    return [file for file in candidates if file.is_file()]
