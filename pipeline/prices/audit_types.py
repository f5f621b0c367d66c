"""Audits as values: what was held back, what is missing, and which symbols get no forecast."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

Verdict = Literal["accept", "warn", "quarantine", "reject"]


@dataclass(frozen=True, kw_only=True)
class Note:
    """A statement about a whole symbol, or about the source if `symbol` is empty."""

    symbol: str
    rule: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One finding about one bar, or about a missing one."""

    symbol: str
    session: date
    verdict: Verdict
    rule: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Reason:
    """How often a rule came to a verdict."""

    verdict: Verdict
    rule: str
    bars: int
    symbol_count: int
    symbols: tuple[str, ...]  # the first few
    detail: str  # an example


@dataclass(frozen=True, kw_only=True)
class DoubtfulSymbol:
    """A symbol that gets no forecast, because its last bar or the scale of its history is in doubt."""

    symbol: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Seam:
    """A step in the scale of a symbol's prices that nobody has released as a real move."""

    symbol: str
    session: date
    detail: str


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The audit of a snapshot, audit.json in the folder of its run."""

    accept: int = 0  # bars, by verdict
    warn: int = 0
    quarantine: int = 0
    reject: int = 0
    released: int = 0  # bars held back and accepted since
    gaps: int = 0  # sessions without a bar
    reconstructed: int = 0  # bars that became known only after the session
    doubtful: tuple[DoubtfulSymbol, ...] = ()
    seams: tuple[Seam, ...] = ()
    reasons: tuple[Reason, ...] = ()
    notes: tuple[Note, ...] = ()
    problems: tuple[Problem, ...] = ()  # the newest; the database has all of them

    @property
    def held_back(self) -> int:
        """The number of bars that were rejected or quarantined."""
        return self.quarantine + self.reject


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding about a bar of a source, or about a row of a file that belongs to no bar."""

    symbol: str
    session: str  # ISO date; empty for a row that belongs to no bar
    verdict: Verdict
    rule: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class SourceAudit:
    """The findings about a source up to a session; bars without one are accepted and only counted."""

    as_of: date
    source: str
    read_as: str  # how the source was interpreted, in one line
    counts: Mapping[str, int]  # bars by verdict, gaps, bars, symbols, rows left out
    findings: tuple[Finding, ...]
    notes: tuple[Note, ...]
    reasons: tuple[Reason, ...]
