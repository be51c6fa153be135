"""The receiver's bounds, in one place."""

from datetime import timedelta

# The longest body that is read: Alertmanager sends a group whole, a few kilobytes an alert.
MAX_BODY_BYTES = 1 << 20
# A client that is silent for longer is let go.
CLIENT_TIMEOUT_S = 10.0

# Between two looks at the audit stream and at what waits.
POLL_S = 1.0
# Between two looks at the sources of an incident that is under way: a run ends, a notice is sent.
REFRESH_S = 15.0
# So long after its end an incident is still looked at: what follows from it comes late.
SETTLE = timedelta(minutes=10)
# What came before an incident began tells how it came about.
BEFORE = timedelta(minutes=30)
# A cycle that takes longer hangs.
HUNG_S = 120.0

# An editor that saves in place leaves the file empty for a moment: a document that was there is looked for again after this.
SAVED_S = 0.2

# Changes of the rollout read at once.
PAGE = 500
# Failed runs of Dagster that a timeline names.
RUNS = 50
# Dagster that hangs must not keep the documents waiting for long.
DAGSTER_TIMEOUT_S = 5.0

# Between attempts at Jira or Slack: the first wait, and the longest.
RETRY_S = (1.0, 300.0)
# The same for Redis and the disk.
LOCAL_RETRY_S = (1.0, 10.0)
JIRA_TIMEOUT_S = 10.0
# Jira's search may not know a new issue at once. Whether an issue was opened by a request that has no answer is asked after this.
JIRA_INDEX = timedelta(seconds=60)
# How long a round of telling Jira, or Slack, may go on while more waits.
ROUND_S = 20.0
# Between two questions to a Dagster that does not answer: each keeps the documents waiting.
DAGSTER_RETRY_S = (15.0, 60.0)
