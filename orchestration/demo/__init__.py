"""The demo: the whole loop on real flights, told step by step. `make demo`."""
