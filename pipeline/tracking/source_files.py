"""The source files that a module of this package needs: what it imports, directly or through other modules.

For the model that MLflow serves, which carries its own code, and for results that are reused only while the code that
made them is unchanged.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def needed_by(*modules: Path, annotations: bool = True) -> list[Path]:
    """Return `modules` and every file of this package that they import, sorted.

    Imports inside functions count, and with `annotations` those under TYPE_CHECKING, which no running program imports.
    A package's `__init__.py` counts where the package or anything in it is imported, as Python runs it then.
    """
    waiting, found = list(modules), set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in _imported(path, annotations) for file in _files_of(name)]
    return sorted(found)


def _imported(path: Path, annotations: bool) -> Iterator[str]:
    """Yield the dotted names that a file imports: for `from a import b` both `a` and `a.b`, which may be a module."""
    for node in _nodes(ast.parse(path.read_text(encoding="utf-8")), annotations):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _nodes(tree: ast.AST, annotations: bool) -> Iterator[ast.AST]:
    """Yield every node of a tree, without the bodies of `if TYPE_CHECKING:` where annotations do not count."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if not annotations and isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _files_of(name: str) -> list[Path]:
    """Return the files that Python runs to import a dotted name, none for another package's."""
    first, *parts = name.split(".")
    if first != PACKAGE.name:
        return []
    places = [PACKAGE.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    candidates = [file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))]
    return [file for file in candidates if file.is_file()]
