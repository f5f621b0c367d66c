"""The gate's decision on a run: which model is published, why, and on what evidence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from pipeline.evaluation.model_scores import CHAMPION, ModelScores, Scores, Significance
from pipeline.forecast_schema import BASELINES

# The outcome for the network trained in this run, and for the champion before it: what a title is chosen by.
ChallengerOutcome = Literal[
    "unjudged",  # no session is held out
    "not_trained",
    "suspect",
    "worse",  # its mean is no better than the best baseline's
    "by_chance",  # its mean is better, which may be chance
    "behind_champion",  # it beats the best baseline beyond chance, but not the champion
    "takes_over",
]
ChampionOutcome = Literal["none", "unusable", "expired", "suspect", "worse", "published", "replaced"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Tests that the challenger is better, and the level to pass; a test is None where there were too few sessions."""

    level: float
    against_baseline: Significance | None = None
    against_champion: Significance | None = None


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The champion before the run: its registered version, the session it was trained as of, and its model."""

    version: str
    as_of: date | None = None
    network: str = "network"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What `decision.json` holds."""

    model: str
    model_version: str | None = None  # in the registry; of a baseline the start of the snapshot's SHA-256
    promoted: bool = False
    reason: str = ""  # for people
    # None in decisions of an older version, which only give the reason.
    challenger_outcome: ChallengerOutcome | None = None
    champion_outcome: ChampionOutcome | None = None
    champion: Champion | None = None
    no_champion: str | None = None  # why no champion was compared
    trial: tuple[str, ...] = ()  # how the run differs from the standing configuration
    registered: bool = True  # of a promoted network: whether it became champion, which that of a trial does not
    best_baseline: str | None = None
    evidence: Evidence | None = None
    suspect: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # as `Scores.suspects`

    @property
    def is_baseline(self) -> bool:
        """Whether a baseline is published."""
        return self.model in BASELINES

    @property
    def champion_stays(self) -> bool:
        """Whether the champion before the run is published."""
        champion = self.champion
        return not self.promoted and champion is not None and champion.version == self.model_version

    def label_in(self, scores: Scores) -> str:
        """Return the label of the published model among scores.

        A champion that stays is not the network trained today, though both may be an LSTM.
        """
        stays = not self.is_baseline and not self.promoted and scores.champion is not None
        return CHAMPION if stays else self.model

    def published_in(self, scores: Scores) -> ModelScores | None:
        """Return the scores of the published model; None where it was not scored."""
        return scores.by_label.get(self.label_in(scores))
