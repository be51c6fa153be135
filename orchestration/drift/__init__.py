"""Drift of what the models see: a logged window against a reference. Plain functions, no Dagster."""
