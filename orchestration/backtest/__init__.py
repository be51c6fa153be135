"""The year 2013 once more: the platform's own decisions on simulated traffic, from the shell. No server, no Dagster."""
