"""What can go wrong, as one small tree.

    PipelineError
    ├── UserError               the request cannot be met as asked: a retry changes nothing
    │   ├── BadSetting            a setting or parameter is outside what is allowed
    │   ├── BadSymbol             not a symbol at all, or one the source does not know
    │   │   └── UnknownSymbol       well formed, but the vendor has never heard of it
    │   ├── BadSession            not a session of the exchange, in the future, or before the history
    │   ├── BadFile               a price file is missing, unreadable or lacks columns
    │   └── NothingToForecast     no symbol has enough history
    ├── SourceError             the source of prices did not give what it was asked for
    │   ├── NoData                it answered, and has no bar of the symbol for these sessions
    │   ├── RateLimited           it wants to be left alone for a while: try late
    │   └── BadUpstream           no answer, or none that makes sense: 500, HTML, cut off, another symbol
    ├── SessionNotAvailable     the source ends before the session: nothing to do, no failure
    ├── StoreError              the database or the published folder cannot be opened, read or written
    │   ├── Overtaken             another process stored a symbol's history anew meanwhile: compare again
    │   └── BucketFailed          a bucket is not there, cannot be reached, or refuses: an OSError too
    ├── CorruptFile             a file's SHA-256 is not the one recorded when it was written
    │   └── MissingArtifact       MLflow has a record of the file, and the file is gone: not an outage
    ├── MissingStep             an earlier step of the run has left nothing to go on with
    ├── MissingInTracking       MLflow answers that a run, an experiment or a model was deleted
    └── TrackingUnavailable     MLflow cannot be reached: what was computed is safe on disk

Each message names the thing, the place and the next step, in one line.
"""

import re

# A library's message is shown in one line, but with all its lines: the first is often only a heading ("… failed for the
# following reasons:"). What is too long loses its middle, because a cause stands at the end as often as at the start.
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
    """Whatever the pipeline itself reports; `retryable` says whether the same request may succeed later."""

    retryable = True


class UserError(PipelineError, ValueError):
    """The request cannot be met as it was asked."""

    retryable = False


class BadSetting(UserError):
    """A setting or parameter is outside what is allowed."""


class BadSymbol(UserError):
    """Not a symbol at all, or one the source does not know."""


class UnknownSymbol(BadSymbol):
    """A symbol that the vendor has never heard of."""


class BadSession(UserError):
    """A date that is no session of the exchange, lies in the future, or before the history."""


class BadFile(UserError):
    """A price file is missing, unreadable or lacks columns."""


class NothingToForecast(UserError):
    """No symbol has enough history for any model, baselines included."""


class SourceError(PipelineError):
    """The source of prices did not give what it was asked for."""


class NoData(SourceError):
    """The source answered, and has no bar of the symbol for these sessions: a holiday, a halt, a delisting."""


class RateLimited(SourceError):
    """The source wants to be left alone for a while."""


class BadUpstream(SourceError):
    """No answer, or none that makes sense: a time-out, 500, HTML, cut-off JSON, another symbol than asked for."""


class SessionNotAvailable(PipelineError):
    """The source ends before the session asked for: a scheduled run has nothing to do."""

    retryable = False


class StoreError(PipelineError):
    """The database or the published folder cannot be opened, read or written."""


class Overtaken(StoreError):
    """Another process began a new generation of a symbol meanwhile: compare with that one, and append again."""


class BucketFailed(StoreError, OSError):
    """A bucket is not there, cannot be reached, or refuses what it is asked for."""


class CorruptFile(PipelineError):
    """A file's SHA-256 is not the one recorded when it was written."""

    retryable = False


class MissingArtifact(CorruptFile):
    """MLflow has a record of a file, answers, and no longer has the file."""


class MissingStep(PipelineError):
    """An earlier step of the run has left nothing to go on with."""

    retryable = False


class MissingInTracking(PipelineError):
    """MLflow answers that a run, an experiment or a model is not there, or was deleted."""

    retryable = False


class TrackingUnavailable(PipelineError):
    """MLflow cannot be reached; what was computed is safe on disk."""


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
