"""Following the rollout: what is served now, contracts by digest, last known good, the reflex."""
