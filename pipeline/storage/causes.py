"""What an exception of a library says, in one line: all of the cause, without the boilerplate around it.

The first line of such a text is often only its heading ("… failed for the following reasons:"), so no line is dropped;
lines are joined, and what is too long loses its middle, because a cause stands at the end as often as at the start.
"""

import re

LONGEST = 300
_HEAD = 180
_NOISE = re.compile(
    r"\(Background on this error at: \S+\)"  # SQLAlchemy
    r"|\[SQL: .*?\]\s*(?=\[parameters|\(Background|$)|\[parameters: .*?\]\s*(?=\(Background|$)"
    r"|\(sqlite3\.\w+\)\s*|\(psycopg\.[\w.]+\)\s*"
    r"|See https://curl\.se/\S+ first for more details\.?|Failed to perform, "  # curl
    r"|#{3,} File (?P<file>.*?) #{3,}"  # MLflow
    r"|Traceback \(most recent call last\):.*?(?=\n\S+(?:Error|Exception)\b)"
    r"|\x1b\[[0-9;]*m|For further information visit \S+",
    re.DOTALL,
)
_PASSWORD = re.compile(r"(://[^/@:\s]*):[^@\s]*@")


def cause_of(error: BaseException) -> str:
    """Return the cause that an exception names, in one line of at most `LONGEST` characters, without passwords."""
    return one_line(_text_of(error)) or type(error).__name__


def one_line(text: str) -> str:
    """Return a text of several lines as one, without boilerplate and passwords, its middle left out if it is long."""
    joined = " ".join(_NOISE.sub(lambda match: match["file"] or "", text).split())
    joined = _PASSWORD.sub(r"\1:***@", joined).rstrip(" :;,.").lstrip(" :;,")
    if len(joined) <= LONGEST:
        return joined
    return f"{joined[:_HEAD].rstrip()} … {joined[_HEAD + 3 - LONGEST :].lstrip()}"


def _text_of(error: BaseException) -> str:
    """The exception's own words, those of its cause where it has none, its type where there are none at all."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, KeyError):  # its text is the key
        return f"{type(error).__name__}: {error}"
    text = str(error).strip()
    if text:
        return text
    deeper = error.__cause__ or error.__context__
    return _text_of(deeper) if deeper is not None else type(error).__name__
