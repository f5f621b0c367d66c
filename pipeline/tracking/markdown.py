"""Untrusted text in Markdown: every character is shown as it is, and none is markup.

Two renderers show it: MLflow's (Showdown, GitHub flavour) and Airflow's (remark with GFM). They differ in
what a backslash may escape, and both turn bare addresses into links after escapes have been resolved. So angle brackets
and ampersands become entities, inline punctuation is escaped, and a bare address is interrupted by a word joiner, which
is invisible.
"""

import re
import unicodedata

from pipeline.storage.urls import web_link

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# Both treat an underscore within a word as text; names such as `random_walk` stay readable in the source.
_INLINE = re.compile(r"[\\`*{}\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# Markup only at the beginning of a line: headings, list items, rules, underlined headings.
_BLOCK = re.compile(r"^(?:[#+\-=](?=.)|[#+\-=]$|(\d{1,9})(?=[.)](?:\s|$)))")
# Where a URL, an e-mail address or a mention would become a link, and a name between colons an emoji.
_LINKED = re.compile(r"(?<=:)(?=/)|(?i:\bwww)(?=\.)|(?i:\b(?:mailto|xmpp))(?=:)|(?<=@)|(?<=:)(?=[A-Za-z_+\-][\w+\-]*:)")
_JOINER = "\N{WORD JOINER}"


def escape(text: object) -> str:
    """Return `text` on one line, shown as plain text anywhere in Markdown, table cells included."""
    line = _one_line(text)
    line = _LINKED.sub(lambda found: found[0] + _JOINER, line)
    line = _INLINE.sub(r"\\\g<0>", line.translate(_ENTITIES))
    return _BLOCK.sub(_escape_block, line)


def code(text: object) -> str:
    """Return `text` as a code span on one line; a backtick, which would end it, becomes an apostrophe."""
    line = _one_line(text).replace("`", "'").replace("|", "\N{BROKEN BAR}")
    return f"`{line}`" if line else ""


def link(title: object, address: object) -> str:
    """Return a link to `address`; only the title for anything but http and https."""
    target = web_link(address)
    return escape(title) if target is None else f"[{escape(title)}]({target})"


def _one_line(text: object) -> str:
    """Collapse whitespace; drop control characters and those that reorder the text around them."""
    shown = "".join(each if each.isspace() or not _invisible(each) else "" for each in str(text))
    return " ".join(shown.split())


def _invisible(character: str) -> bool:
    category, direction = unicodedata.category(character), unicodedata.bidirectional(character)
    return category in ("Cc", "Cs", "Co", "Cn") or direction in _REORDERS


_REORDERS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def _escape_block(found: re.Match[str]) -> str:
    return f"{found[1]}\\" if found[1] else f"\\{found[0]}"
