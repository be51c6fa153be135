"""What must hold of every source: one suite a module, as data; `run` has Great Expectations check them."""
