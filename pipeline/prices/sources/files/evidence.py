"""Evidence in the cells of a column about its decimal separator."""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.prices.sources.files.cells import bare_of, own_sign

# What shows, in cells that are plain numbers, that a point is a decimal point, and that thousands are not separated.
_TELLS_POINT = r"^[+-]?(0|\d{4,})?\.\d|\.(\d{1,2}|\d{4,})$|[eE]"
_TELLS_UNGROUPED = r"^[+-]?\d{4,}"
_DOUBTFUL = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
# If one separator is shown this many times as often as the other, the others are errors of their cells.
_MANY = 20


@dataclass(kw_only=True)
class Evidence:
    """Cells by the sign that they show."""

    shown: dict[str, int] = field(default_factory=lambda: {".": 0, ",": 0})
    ungrouped: bool = False  # thousands that nothing separates
    doubtful: str = ""  # a cell that can be either

    @property
    def sign(self) -> str | None:
        """The decimal separator; None if no cell shows it, empty if they contradict each other."""
        points, commas = self.shown["."], self.shown[","]
        if not points + commas:
            return None
        if min(points, commas) * _MANY > max(points, commas):
            return ""
        return "." if points > commas else ","

    def add(self, other: "Evidence") -> None:
        """Add the evidence of another column, except its ambiguous cell."""
        for sign, count in other.shown.items():
            self.shown[sign] += count
        self.ungrouped = self.ungrouped or other.ungrouped

    def see(self, text: str, rows: int) -> None:
        """Add a cell that is not a plain number, with its number of rows."""
        bare = bare_of(text)
        if bare is None:
            return
        number, spaced = bare
        digits = number.lstrip("+-")
        if "." not in digits and "," not in digits:
            self.ungrouped = self.ungrouped or (len(digits) > 3 and not spaced)
            return
        sign = own_sign(number)
        if not sign and spaced:
            sign = "." if "." in number else ","
        if sign:
            self.shown[sign] += rows
        elif digits.count(".") + digits.count(",") == 1:
            self.doubtful = self.doubtful or text


def of_plain(text: pa.ChunkedArray) -> Evidence:
    """Return the evidence of the plain numbers of a column; the first chunk with any suffices."""
    evidence = Evidence()
    for chunk in text.chunks:
        if not evidence.shown["."]:
            evidence.shown["."] = int(pc.sum(pc.match_substring_regex(chunk, _TELLS_POINT)).as_py() or 0)
        if not evidence.ungrouped:
            evidence.ungrouped = bool(pc.any(pc.match_substring_regex(chunk, _TELLS_UNGROUPED)).as_py())
        if not evidence.doubtful:
            found = chunk.filter(pc.match_substring_regex(chunk, _DOUBTFUL))
            evidence.doubtful = found[0].as_py() if len(found) else ""
        if evidence.shown["."] and evidence.ungrouped:
            break
    return evidence
