"""The training record: what `training.json` holds of how a network was trained, or why none was.

This module does not import torch: the record is read by steps that load no network.

Legend: L lags, the last session of the window first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

if TYPE_CHECKING:
    from pipeline.config import Settings

Precision = Literal["fp32", "bf16"]
Curve = tuple[tuple[int, float], ...]  # points of (training step, value)


@dataclass(frozen=True, kw_only=True)
class TrainingParameters:
    """The settings that a network is trained and evaluated with; None for what no training used."""

    network: str
    horizon: int
    context_length: int
    hidden_size: int
    training_steps: int | None  # None: as many as the data asks for
    batch_size: int
    learning_rate: float | None
    holdout_sessions: int
    validation_sessions: int
    seed: int
    threads: int = 1
    inputs: str = ""  # names, comma-separated
    weight_decay: float | None = None
    clip_norm: float | None = None
    precision: Precision | None = None

    @classmethod
    def from_settings(
        cls,
        settings: "Settings",
        *,
        steps: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        clip_norm: float | None = None,
        precision: Precision | None = None,
    ) -> Self:
        """Return what the settings ask for, and what a training used on top of that."""
        return cls(
            network=settings.network,
            horizon=settings.horizon,
            context_length=settings.context_length,
            hidden_size=settings.hidden_size,
            training_steps=steps or settings.training_steps,
            batch_size=settings.batch_size,
            learning_rate=learning_rate or settings.learning_rate,
            holdout_sessions=settings.holdout_sessions,
            validation_sessions=settings.validation_sessions,
            seed=settings.seed,
            threads=settings.threads,
            inputs=", ".join(settings.inputs),
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            precision=precision,
        )


@dataclass(frozen=True, kw_only=True)
class TrainingCurves:
    """The course of a training over its steps; empty where nothing was trained."""

    train_pinball: Curve = ()
    validation_pinball: Curve = ()
    learning_rate: Curve = ()


@dataclass(frozen=True, kw_only=True)
class WindowBlock:
    """The windows of one use: the first and the last session that one ends with (ISO dates), and how many there are."""

    first: str
    last: str
    windows: int


@dataclass(frozen=True, kw_only=True)
class GradientCurves:
    """The gradient by lag, shape (L,), before the first step and, of the trained network alone, after the last."""

    start: tuple[float, ...] | None = None
    end: tuple[float, ...] | None = None

    @property
    def by_moment(self) -> dict[str, tuple[float, ...]]:
        """The curves there are by `start` and `end`, in this order."""
        return {name: curve for name, curve in (("start", self.start), ("end", self.end)) if curve is not None}


@dataclass(frozen=True, kw_only=True)
class GradientNumbers:
    """The curves of the trained network as single numbers; None where a curve is zero."""

    half_life_sessions: int | None = None
    half_life_sessions_at_start: int | None = None
    far_to_near: float | None = None
    far_to_near_at_start: float | None = None


@dataclass(frozen=True, kw_only=True)
class GradientMemory:
    """How far back networks look: their gradients by lag on the same windows, by network."""

    network: str  # the one that was trained
    windows: int
    curves: Mapping[str, GradientCurves]
    numbers: GradientNumbers = field(default_factory=GradientNumbers)


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """What `training.json` holds. Where `not_trained` gives a reason, only the parameters and perhaps the drift."""

    parameters: TrainingParameters
    not_trained: str | None = None
    curves: TrainingCurves = field(default_factory=TrainingCurves)
    best_step: int | None = None  # the step whose weights were kept
    seconds: float = 0.0
    windows: int | None = None  # of all blocks, the holdout included
    train: WindowBlock | None = None
    validation: WindowBlock | None = None
    gradient_memory: Annotated[GradientMemory | None, Field(alias="memory")] = None
    drift: Mapping[str, float] = field(default_factory=dict)  # population stability index by input

    @classmethod
    def without_network(cls, settings: "Settings", reason: str) -> Self:
        """Return the record of a run that trains nothing, for this reason."""
        return cls(parameters=TrainingParameters.from_settings(settings), not_trained=reason)

    @property
    def trained(self) -> bool:
        """Whether there is a network."""
        return self.not_trained is None
