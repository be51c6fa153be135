"""The embedded profile: the whole platform on one machine, without Docker. `python -m orchestration.embedded`."""
