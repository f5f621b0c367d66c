"""Leakage alarms: scores too good for real prices, which most likely mean that inputs include the future.

A run with such a network is `suspect`, and the gate neither promotes nor publishes the network. No honest forecast has
the direction of daily share prices right in 56 % of cases, or halves the random walk's error; a window that extends one
session too far does.
"""

from collections.abc import Iterator

from pipeline.evaluation.model_scores import ModelScores, SessionScores

MAE_RATIO = 0.97  # alarm below this ratio of the mean absolute error to the random walk's
DIRECTION = 0.56  # alarm above this share of correct signs
DIRECTION_LOW = 0.54  # and if the lower end of its interval is above this
CHANCE = 0.01  # significance level of the lower error


def alarms(scores: ModelScores, sessions: int, *, fewest: int) -> list[str]:
    """Return the alarms about a model's scores, in words: over all steps and at the first step.

    With fewer than `fewest` sessions there is no alarm.
    """
    if sessions < fewest:
        return []
    rows: list[tuple[str, SessionScores]] = [("over all steps", scores)]
    rows += [("at step 1", row) for row in scores.by_step[:1] if len(scores.by_step) > 1]
    return [words for where, row in rows for words in _alarms(where, row)]


def _alarms(where: str, row: SessionScores) -> Iterator[str]:
    ratio, p = row.mae_over_random_walk, row.mae_over_random_walk_p
    if ratio is not None and ratio < MAE_RATIO and p is not None and p < CHANCE:
        yield f"its MAE {where} is {ratio:.3f} of the random walk's (below {MAE_RATIO})"
    direction, low = row.direction, row.direction_low
    if direction is None or low is None or row.up is None:
        return
    # In a rising year "always up" is right more often than 56 %, and a median that leans upwards is no leak.
    constant = max(row.up, 1 - row.up)
    if direction > DIRECTION and low > max(DIRECTION_LOW, constant):
        yield (
            f"its direction {where} is right in {100 * direction:.1f} % (above {100 * DIRECTION:.0f} %; "
            f"always the same way: {100 * constant:.1f} %)"
        )
