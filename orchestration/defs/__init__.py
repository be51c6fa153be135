"""Thin Dagster over the plain functions: assets, checks, jobs, sensors and resources, one module a subject."""

import warnings

import dagster as dg

# backfill_policy and dagster-mlflow are beta at our pin; that was decided, not overlooked.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
