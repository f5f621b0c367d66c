"""Import everything that the pipeline may import, in a process that forks workers.

Steps import their dependencies when they run, so that commands start quickly. Where every step is a separate process,
as with Airflow, the imports cost each step up to four seconds; workers forked from a process that has already imported
everything inherit the modules and share their memory. `python -m pipeline.preload MODULE ARGS…` does that for any
program: it imports everything, then runs `python -m MODULE ARGS…`.
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
    """Return the modules that a module imports, including imports within functions."""
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
    gc.freeze()  # modules are never garbage, and a collection in a worker would copy their memory pages
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
