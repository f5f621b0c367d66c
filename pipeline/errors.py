"""The exceptions of the pipeline, as one tree.

    PipelineError
    ├── UserError               the request cannot be fulfilled; a retry changes nothing
    │   ├── BadSetting            a setting or parameter has a value that is not allowed
    │   ├── BadSymbol             not a symbol, or not known to the source
    │   │   └── UnknownSymbol       well formed, but unknown to the vendor
    │   ├── BadSession            not a session of the exchange, in the future, or before the history
    │   ├── BadFile               a price file is missing, unreadable or lacks columns
    │   └── NothingToForecast     no symbol has enough history
    ├── SourceError             the source of prices did not return what was requested
    │   ├── NoData                it has no bar of the symbol for these sessions
    │   ├── RateLimited           it limits the request rate: retry later
    │   └── BadUpstream           no answer, or an invalid one: 500, HTML, truncated, another symbol
    ├── SessionNotAvailable     the source ends before the session: nothing to do, not a failure
    ├── StoreError              the database or the published folder cannot be opened, read or written
    │   ├── Overtaken             another process replaced a symbol's history in the meantime: compare again
    │   └── BucketFailed          a bucket does not exist, is unreachable or denies access; also an OSError
    ├── CorruptFile             a file's SHA-256 is not the one recorded when it was written
    │   └── MissingArtifact       MLflow has a record of the file, but the file is gone: not an outage
    ├── MissingStep             an earlier step of the run has not produced its result
    ├── MissingInTracking       a run, an experiment or a model was deleted in MLflow
    └── TrackingUnavailable     MLflow is unreachable; results are safe on disk

Each message states what failed, where, and the next step, in one line.
"""

import re

# A library's message is shown in one line with all of its lines: the first is often only a heading ("… failed for the
# following reasons:"). A long message loses its middle, because the cause may be at the end or at the start.
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
_URL_PASSWORD = re.compile(r"(://[^/@:\s]*):[^@\s]*@")


class PipelineError(Exception):
    """Base of all errors of the pipeline; `retryable` says whether the same request may succeed later."""

    retryable = True


class UserError(PipelineError, ValueError):
    """The request cannot be fulfilled; a retry changes nothing."""

    retryable = False


class BadSetting(UserError):
    """A setting or parameter has a value that is not allowed."""


class BadSymbol(UserError):
    """Not a symbol, or not known to the source."""


class UnknownSymbol(BadSymbol):
    """A symbol that the vendor does not know."""


class BadSession(UserError):
    """A date that is not a session of the exchange, or is in the future or before the history."""


class BadFile(UserError):
    """A price file is missing, unreadable or lacks columns."""


class NothingToForecast(UserError):
    """No symbol has enough history for any model, baselines included."""


class SourceError(PipelineError):
    """The source of prices did not return what was requested."""


class NoData(SourceError):
    """The source has no bar of the symbol for these sessions: a holiday, a halt, a delisting."""


class RateLimited(SourceError):
    """The source limits the request rate."""


class BadUpstream(SourceError):
    """No answer, or an invalid one: a timeout, 500, HTML, truncated JSON, another symbol than requested."""


class SessionNotAvailable(PipelineError):
    """The source ends before the session asked for: a scheduled run has nothing to do."""

    retryable = False


class StoreError(PipelineError):
    """The database or the published folder cannot be opened, read or written."""


class Overtaken(StoreError):
    """Another process began a new generation of a symbol in the meantime: compare with it and append again."""


class BucketFailed(StoreError, OSError):
    """A bucket does not exist, is unreachable or denies access."""


class CorruptFile(PipelineError):
    """A file's SHA-256 is not the one recorded when it was written."""

    retryable = False


class MissingArtifact(CorruptFile):
    """MLflow is reachable and has a record of a file, but no longer the file."""


class MissingStep(PipelineError):
    """An earlier step of the run has not produced its result."""

    retryable = False


class MissingInTracking(PipelineError):
    """A run, an experiment or a model does not exist in MLflow, or was deleted."""

    retryable = False


class TrackingUnavailable(PipelineError):
    """MLflow is unreachable; results are safe on disk."""


def cause_of(error: BaseException) -> str:
    """Return the cause that an exception names, in one line of at most `LONGEST` characters, without passwords."""
    return one_line(_text_of(error)) or type(error).__name__


def one_line(text: str) -> str:
    """Return a text of several lines as one, without boilerplate and passwords, its middle left out if it is long."""
    joined = " ".join(_NOISE.sub(lambda match: match["file"] or "", text).split())
    joined = _URL_PASSWORD.sub(r"\1:***@", joined).rstrip(" :;,.").lstrip(" :;,")
    if len(joined) <= LONGEST:
        return joined
    return f"{joined[:_HEAD].rstrip()} … {joined[_HEAD + 3 - LONGEST :].lstrip()}"


def _text_of(error: BaseException) -> str:
    """Return the exception's message, or that of its cause if it has none, or the name of its type."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, KeyError):  # its text is the key
        return f"{type(error).__name__}: {error}"
    text = str(error).strip()
    if text:
        return text
    deeper = error.__cause__ or error.__context__
    return _text_of(deeper) if deeper is not None else type(error).__name__
