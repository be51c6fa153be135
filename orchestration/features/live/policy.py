"""The updater's bounds, in one place."""

from datetime import timedelta

from orchestration.features.views import WARM_UP

# An event older than the watermark by more is not applied: days that have been computed in batch since would not agree.
LATENESS = timedelta(hours=24)
# Event time behind the watermark for which the files of late events are kept: what is older changes no row that is read.
LATE_KEPT = WARM_UP["flights"] + LATENESS
# Nobody knows the future: an event that says it happened this long after the wall clock is refused. A movement would push
# the watermark ahead, and with it make everything true that follows it late.
# Weather reports, which wait for their time, come some minutes before their hour is over.
AHEAD = timedelta(minutes=15)

# Event seconds that the watermark may lie behind the event clock before somebody should look.
FRESH_S = 300.0
# Wall seconds that the oldest unapplied event may have waited in the stream.
LAG_S = 10.0

# How long the updater waits for an event, which is also how soon it notices a store that lost its memory.
POLL_MS = 500
# Entries applied together: all that wait, up to this.
BATCH = 5_000
# Entries left in the stream once they are in the journal, for whoever looks into it.
KEEP = 10_000
# Entries that wait are counted up to this: to count one, Redis sends the whole of it.
COUNTED = 1_000
# Dead letters kept.
REFUSED_KEPT = 1_000
# Between attempts at a Redis that is away.
RETRY_S = (0.1, 2.0)
# The longest cycle: one that takes longer hangs.
HUNG_S = 60.0
