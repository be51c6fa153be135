"""From a registered model to a served one: Triton's repository, its load list, and the proof that it answers."""
