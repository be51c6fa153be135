"""Which days the demo uses, and why these."""

from datetime import date, timedelta

DAY = timedelta(days=1)

# The champion learns January to March, is judged on April, and serves the first days of May.
INGEST = (date(2013, 1, 1), date(2013, 5, 3))
TRAIN = (date(2013, 1, 1), date(2013, 4, 1))
HOLDOUT = (date(2013, 4, 1), date(2013, 5, 1))
BASELINE_DAY = date(2013, 5, 1)
CANARY_DAY = date(2013, 5, 2)
# The bad challenger has learnt from nothing but the storm of 31 January, and its owner judged it on the days after the
# blizzard of February: it looks well there, and passes its gates; April would have failed it. Its answers are quick,
# finite and in range, so that no error and no latency gives it away. Only the outcomes of ordinary flights do.
STORM = (date(2013, 1, 31), date(2013, 2, 1))
AFTER_A_BLIZZARD = (date(2013, 2, 11), date(2013, 2, 13))
