"""GET /: the rollout on one page, and GET /status, what it draws from besides /metrics."""
