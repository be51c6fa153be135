"""The rollout store: compare-and-set on one Redis document, its audit stream, the gateways' acknowledgements."""
