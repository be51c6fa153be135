"""Evidence on a canary and the verdict over it: plain functions, no Dagster."""
