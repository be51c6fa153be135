"""How much of the bodies that are being received a process may hold: many clients together are bounded too."""

from serving_gateway.http import unavailable


class Bodies:
    """A budget in bytes, shared by all connections of a process."""

    def __init__(self, limit: float) -> None:
        self._room = limit

    def take(self, size: int) -> None:
        """Hold `size` bytes more. Raises ApiError 503 where there is no room for them."""
        if size > self._room:
            raise unavailable("too many large requests at once: send it again, or less of it")
        self._room -= size

    def give(self, size: int) -> None:
        """`size` bytes are held no more."""
        self._room += size
