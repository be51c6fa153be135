"""The skew policy, in one place: when two values are the same, when a feature fails, when a cause is named."""

from datetime import timedelta

# The same value, in float32: bit for bit, both NaN, or within this share of the larger of the two. A float32 has a
# relative step of 1.2e-7; two evaluators that round once more or less differ by a few of them.
RELATIVE_TOLERANCE = 1e-6

# A feature fails above this share of its rows, rows behind late data aside. Equality is exact by design, so one wrong row
# is a defect already; a thousandth is what a restart or a read in the very instant of a write may cost.
DIFFERING_SHARE = 0.001
# And above this share behind late data (`late event`, `stale row`): the computation is right, the data were late. Beyond
# it a model sees another world than it was trained on, whoever is to blame.
LATE_SHARE = 0.05
# A pass says that features are right: fewer rows say nothing. A difference counts in any number.
FEWEST_ROWS = 100

# A cause that shows only over many rows is named where it explains this share of the differing rows that no other fact
# explains, and at least so many of them.
FITTING_SHARE = 0.9
FEWEST_FITTING = 5
# A constant factor, to this relative precision, away from 1 by more than a hundredth.
RATIO_TOLERANCE = 1e-4
LEAST_RATIO = 0.01
# A view is frozen where it stood still for so long while newer rows were to be had.
FROZEN_FOR = timedelta(hours=1)
# A late event is looked for so far back: the history of the decayed means (features/decay.py).
LATE_REACH = timedelta(days=4)

# What bounds memory: event time of the log that is read together, rows of it that are worked on together, and of these,
# the differing rows of a feature that are explained; of more, evenly spaced ones stand for all.
WINDOW = timedelta(hours=6)
CHUNK_ROWS = 50_000
EXPLAINED_ROWS = 2_000
