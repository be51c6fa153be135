"""Is the canary slower? Its requests against the control arm's, a few of each at a time, near in time and alike in size.

The control is the baseline's model on as many keys as the canary has, with its own batches. Which keys those are may make
an arm slower without its model's doing, in two ways, and neither counts here. A key may send larger requests: so requests
are compared within those of one size. A key may be busy when everything is slow: so the requests of a block are the last
ones of either arm, and what makes both slow at a time is in both. And a request may find its model at work for others, a
canary's most of all for the background: those that did are left out, in either arm. What is left is a key whose requests
cost the model itself more at the same size; a model whose cost does not depend on the values of its inputs has none.
"""

from collections import defaultdict, deque
from collections.abc import Iterable

import numpy as np
import polars as pl

from orchestration.rollout.betting import Floats
from orchestration.rollout.pairing import Pair

BLOCK = 4  # requests of either arm


def latency_differences(predictions: pl.DataFrame, pair: Pair) -> Floats:
    """One value for each block of requests, in the order in which the blocks became complete.

    Args:
        predictions: rows of the log that the split placed. One row of each exchange with an arm counts (`charged`), for all
            of an exchange take the same time; rows that fell back or failed do not count, they are errors.
        pair: the models that are compared.

    Returns:
        Shape [blocks], in [-1, 1]: see `slower`.
    """
    sizes = predictions.group_by("request_id", "served_at").len("size")
    model = pl.when(pl.col("arm") == "canary").then(pl.lit(pair.canary)).otherwise(pl.lit(pair.baseline))
    requests = (
        predictions.filter(
            pl.col("arm").is_in(["canary", "control"]),
            pl.col("triton_model") == model,
            pl.col("outcome") == "ok",
            pl.col("charged"),
            ~pl.col("queued"),
        )
        .join(sizes, on=["request_id", "served_at"])
        .sort("served_at", "prediction_id")
        .select(pl.col("arm") == "canary", "size", "latency_us")
    )
    found = np.array(list(blocks(requests.iter_rows())), dtype=np.float64).reshape(-1, 2, BLOCK)
    return slower(found[:, 0], found[:, 1])


def blocks(requests: Iterable[tuple[bool, int, float]]) -> Iterable[tuple[list[float], list[float]]]:
    """Latencies of the last BLOCK canary and the last BLOCK control requests of one size, once there are as many of both.

    Each request is (whether it is the canary's, its size, its latency), in time order; it is in one block at most. Of an
    arm that is ahead the oldest are left out, so that the two sides of a block stay near in time.
    """
    waiting: defaultdict[int, tuple[deque[float], deque[float]]] = defaultdict(
        lambda: (deque(maxlen=BLOCK), deque(maxlen=BLOCK))
    )
    for of_canary, size, latency in requests:
        canary, control = waiting[size]
        (canary if of_canary else control).append(latency)
        if len(canary) == len(control) == BLOCK:
            yield list(canary), list(control)
            canary.clear()
            control.clear()


def slower(canary: Floats, control: Floats) -> Floats:
    """2 U / m² - 1 of each block, in [-1, 1], with U the count of pairs in which the canary's request took longer.

    U is the statistic of H. B. Mann and D. R. Whitney, "On a test of whether one of two random variables is stochastically
    larger than the other", Annals of Mathematical Statistics 18, 1947; a tie counts half. Its mean is 2 P - 1, with P the
    chance that a canary's request is slower than a control's of the same block: 0 where neither is, and in the policy's
    unit a `tolerance` of 0.02 is a P of 51 %, a `delta` of 0.1 one of 55 %.

    Args:
        canary: shape [..., m], latencies in any unit.
        control: shape [..., m].

    Returns:
        Shape [...].
    """
    compared = np.sign(canary[..., :, None] - control[..., None, :])
    mean: Floats = compared.mean(axis=(-2, -1))
    return mean
