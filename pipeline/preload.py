"""Import everything that the pipeline may import, in a process whose children do the work.

A step imports what it needs when it needs it, so that a command of the terminal begins at once. Where every step is a
process of its own, as with Airflow, that costs each of them up to four seconds again; children that are forked from a
process that has it all inherit it, and share its memory. `python -m pipeline.preload MODULE WORDS…` makes such a
process of any program: it imports, then goes on as `python -m MODULE WORDS…`.
"""

import ast
import gc
import importlib
import pkgutil
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import pipeline

_NOT = ("pipeline.database.migrations", "pipeline.__main__")  # scripts: importing them runs them


def preload() -> list[str]:
    """Import every module of the pipeline and every module that one of them names; return their names."""
    wanted: dict[str, None] = {}
    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        if not module.name.startswith(_NOT):
            wanted[module.name] = None
            wanted |= dict.fromkeys(_named(module.name))
    for name in wanted:
        importlib.import_module(name)
    return list(wanted)


def _named(module: str) -> list[str]:
    """Return the modules that a module's import statements name, those inside functions too."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return []
    tree = ast.parse(Path(spec.origin).read_text())
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


if __name__ == "__main__":
    preload()
    gc.freeze()  # nothing imported is garbage: a child that looked would make a copy of all of it
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
