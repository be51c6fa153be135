"""What a worker tells its parent, over a socket whose end also tells either that the other has ended."""

READY = b"ready\n"


def last_words(said: bytes) -> str:
    """What the worker gave as its reason, of everything that it said; empty where it gave none."""
    return said.removeprefix(READY).decode(errors="replace")
