"""Several processes behind one listening socket: a parent that only watches, and workers that answer."""
