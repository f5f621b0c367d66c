"""Refuse retired words: expressions that this project no longer uses, each with the word to write instead.

    python -m tools.wording

reads every tracked text file and prints `FILE:LINE: "found": write …` for each hit. The status is 1 if there is one.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Pattern -> what to write. Whole words, of any case.
RETIRED = {
    r"anew": "again, from scratch",
    r"lately": "recently",
    r"by comma": "comma-separated",
    r"mend(?:s|ed|ing)?": "fix, repair",
    r"is away": "is unreachable",
    r"wants? to be left alone": "limits the request rate",
    r"(?:come|comes|came|coming|fallen) due": "mature",
    r"not to be had": "not found, not available",
    r"whoever|whomever": "anyone who, callers, users",
    r"hardly": "rarely, barely",
    r"beside": "next to, against",
    r"twice equals (?:once|one)": "is idempotent",
    r"keeps? quiet": "abstains",
    r"what came of": "the outcome of, the track record",
    r"keeps? its promises?": "is calibrated",
    r"to be told": "to be notified",
    r"none the worse": "not affected",
    r"litter": "stale temporary files",
    r"for want of": "for lack of",
    r"has no say in": "does not affect",
    r"decimal sign": "decimal separator",
    r"plugs pulled": "services disconnected",
    r"for ever": "indefinitely",
}
_PATTERN = re.compile(
    r"\b(?:" + "|".join(f"(?P<w{at}>{word})" for at, word in enumerate(RETIRED)) + r")\b", re.IGNORECASE
)
_EXEMPT = {"tools/wording.py", "tests/tools/test_wording.py"}
_NOT_TEXT = (".png", ".zip", ".parquet", ".ico", ".txt")  # .txt: the locks


def hits(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the retired expression as found, and what to write instead."""
    words = list(RETIRED.values())
    for number, line in enumerate(text.splitlines(), 1):
        for match in _PATTERN.finditer(line):
            yield number, match[0], words[int(str(match.lastgroup)[1:])]


def tracked() -> list[Path]:
    """Return the text files of this checkout that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if name not in _EXEMPT and not name.endswith(_NOT_TEXT)]


def main() -> int:
    """Print every hit; return the exit status."""
    found = [
        f'{path.relative_to(ROOT)}:{line}: "{word}": write {instead}'
        for path in tracked()
        if path.is_file()
        for line, word, instead in hits(path.read_text(encoding="utf-8"))
    ]
    sys.stdout.writelines(f"{text}\n" for text in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
