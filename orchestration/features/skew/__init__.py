"""Training-serving skew: what was served, row by row, against what training would have seen. Plain functions, no Dagster."""
