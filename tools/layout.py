"""Write the layout of the package into docs/architecture.md, from the code: packages, modules, what imports what.

python -m tools.layout            # rewrites the part between the markers
python -m tools.layout --check    # status 1 where the page differs from the code
"""

import ast
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, PAGE = ROOT / "pipeline", ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- layout: written by `make docs` -->", "<!-- end of layout -->"


def layout() -> str:
    """Return the layout as Markdown: the layers from the top, then the modules of each package."""
    names = [name for layer in layers() for name in layer]
    rows = [
        "| package | holds | imports |",
        "|---|---|---|",
        *(f"| `{name}` | {summary(place(name))} | {_listed(imported(name, names))} |" for name in names),
    ]
    parts = [text for name in names if (PACKAGE / name).is_dir() for text in _modules(PACKAGE / name)]
    return "\n".join([*rows, "", "```text", *parts, "```"])


def layers() -> list[list[str]]:
    """Return the layers that import-linter enforces, from the top, without the entry module."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    found = [[name.strip().removeprefix("pipeline.") for name in layer.split("|")] for layer in contract["layers"]]
    return [layer for layer in found if layer != ["__main__"]]


def place(name: str) -> Path:
    """Return the file with the docstring of a package or module of the root."""
    folder = PACKAGE / name
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def summary(path: Path) -> str:
    """Return the first sentence of a module's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".").replace("|", "\\|")


def imported(name: str, known: Iterable[str]) -> set[str]:
    """Return the packages and root modules that one of them imports, itself left out."""
    path = PACKAGE / name
    files = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    found = {part for tree in trees for part in _names(tree)}
    return found & set(known) - {name}


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "pipeline":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pipeline."):
            yield node.module.split(".")[1]


def _modules(folder: Path, indent: str = "") -> Iterator[str]:
    """Yield a line for a package, for each of its modules, and for what lies below."""
    yield f"{indent}{folder.name}/"
    files = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    yield from (f"{indent}  {path.name:<26} {summary(path)}" for path in files)
    for below in sorted(path.parent for path in folder.glob("*/__init__.py")):
        yield from _modules(below, f"{indent}  ")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "–"


def written(page: str) -> str:
    """Return a page with the part between the markers replaced by the layout. Raises ValueError without markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{layout()}\n\n{END}{after}"


def main() -> int:
    """Rewrite the page, or compare it with the code; return the exit status."""
    page = PAGE.read_text(encoding="utf-8")
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(written(page), encoding="utf-8")
    elif written(page) != page:
        sys.stderr.write(f"{PAGE.relative_to(ROOT)} differs from the code: run `make docs`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
