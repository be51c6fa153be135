"""How well the serving model does, with and without labels, and when that asks for a new one. No Dagster."""
