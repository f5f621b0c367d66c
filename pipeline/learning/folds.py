"""Which origins train, which choose when to stop, and which judge: in that order in time, with an embargo between.

A fold keeps `horizon` sessions free between its blocks, so that no target of one block lies in the next.
"""

from dataclasses import dataclass

from pipeline.learning.windows import Origins

MIN_TRAIN_WINDOWS = 1000


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Origins by use. `train` and `validation` are empty where there is too little history to train on."""

    train: Origins
    validation: Origins
    test: Origins


def split(origins: Origins, *, horizon: int, holdout: int, validation: int) -> Fold:
    """Return one fold over `origins`, all of whose targets have come.

    The last `holdout` sessions are the test, the `validation` sessions before them the validation.
    """
    last = int(origins.t_N.max(initial=-1))
    test_from = last - holdout + 1
    validation_to = test_from - horizon - 1
    validation_from = validation_to - validation + 1
    train_to = validation_from - horizon - 1
    return Fold(
        train=origins.within(0, train_to),
        validation=origins.within(validation_from, validation_to),
        test=origins.within(test_from, last),
    )


def too_little(fold: Fold) -> str | None:
    """Return in words why a fold cannot train a network, or None."""
    if len(fold.train) >= MIN_TRAIN_WINDOWS and len(fold.validation):
        return None
    return (
        f"too little history to train on: {len(fold.train)} windows before the held-out sessions, "
        f"at least {MIN_TRAIN_WINDOWS} are needed"
    )
