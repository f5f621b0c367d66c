"""Too good to be true: scores that real prices hardly allow, so that what is seen is most likely the future itself.

A run with such a network is `suspect`, and the gate lets that network neither take over nor be published. Nobody
forecasts the direction of daily share prices at 56 %, or halves the error of the random walk; a window that reaches one
session too far does.
"""

from collections.abc import Iterator

from pipeline.evaluation.model_scores import ModelScores, SessionScores

MAE_RATIO = 0.97  # below: the mean absolute error beats the random walk's by more than prices allow
DIRECTION = 0.56  # above: the median has the sign of the return too often
DIRECTION_LOW = 0.54  # where the lower end of the interval must lie, so that it was not luck
CHANCE = 0.01  # how likely the lower error may be by luck


def alarms(scores: ModelScores, sessions: int, *, fewest: int) -> list[str]:
    """Return in words what is too good in a model's scores, over all steps and at the first; empty if nothing is.

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
