"""Text from outside in Markdown: every character is shown as it is, and none is markup.

Two renderers read what we write: MLflow's (Showdown, GitHub flavour) and Airflow's (remark with GFM). They differ in
what a backslash may escape, and both turn bare addresses into links after escapes have been resolved. So angle brackets
and ampersands become entities, inline punctuation is escaped, and a bare address is interrupted by a word joiner, which
is invisible.
"""

import re
import unicodedata

from pipeline.storage.urls import web_link

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# An underscore within a word is one to both; names such as `random_walk` stay readable where nobody renders them.
_INLINE = re.compile(r"[\\`*{}\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# Markup only where a line begins: headings, list items, rules, underlined headings.
_BLOCK = re.compile(r"^(?:[#+\-=](?=.)|[#+\-=]$|(\d{1,9})(?=[.)](?:\s|$)))")
# Where an address, an e-mail address or a mention of a user would become a link, and a name between colons a picture.
_LINKED = re.compile(r"(?<=:)(?=/)|(?i:\bwww)(?=\.)|(?i:\b(?:mailto|xmpp))(?=:)|(?<=@)|(?<=:)(?=[A-Za-z_+\-][\w+\-]*:)")
_JOINER = "\N{WORD JOINER}"


def escape(text: object) -> str:
    """Return `text` on one line, to be read as plain text wherever in Markdown it stands, table cells included."""
    line = _one_line(text)
    line = _LINKED.sub(lambda found: found[0] + _JOINER, line)
    line = _INLINE.sub(r"\\\g<0>", line.translate(_ENTITIES))
    return _BLOCK.sub(_escape_block, line)


def code(text: object) -> str:
    """Return `text` as a code span on one line; a backtick in it becomes an apostrophe, for it would end the span."""
    line = _one_line(text).replace("`", "'").replace("|", "\N{BROKEN BAR}")
    return f"`{line}`" if line else ""


def link(title: object, address: object) -> str:
    """Return a link to `address`; where that is no http or https address, only the title."""
    target = web_link(address)
    return escape(title) if target is None else f"[{escape(title)}]({target})"


def _one_line(text: object) -> str:
    """Collapse whitespace; drop control characters and those that reorder the text around them."""
    shown = "".join(sign if sign.isspace() or not _unseen(sign) else "" for sign in str(text))
    return " ".join(shown.split())


def _unseen(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs", "Co", "Cn") or unicodedata.bidirectional(sign) in _REORDERS


_REORDERS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def _escape_block(found: re.Match[str]) -> str:
    return f"{found[1]}\\" if found[1] else f"\\{found[0]}"
