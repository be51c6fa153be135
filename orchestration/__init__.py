"""The Dagster code location and the plain functions behind it."""
