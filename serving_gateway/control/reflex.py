"""When a canary fails too often: a pure condition over the outcomes of its requests, with a bound on false alarms."""

from math import log

from msgspec import Struct


class TripPolicy(Struct, frozen=True, kw_only=True):
    """An innocent canary is stopped within so many `requests` with at most this `chance`.

    Innocent is one that fails no more than the share `tolerated`. One that fails the share `gross` is found soonest.
    """

    tolerated: float = 0.002
    gross: float = 0.05
    requests: int = 100_000
    chance: float = 0.001

    @property
    def failed(self) -> float:
        """What a failure says for `gross` and against `tolerated`: the logarithm of the ratio of their likelihoods."""
        return log(self.gross / self.tolerated)

    @property
    def succeeded(self) -> float:
        """The same of a success; negative."""
        return log((1 - self.gross) / (1 - self.tolerated))

    @property
    def limit(self) -> float:
        """The evidence at which the canary is stopped.

        The product of the ratios from any one request on is a supermartingale while every request fails with at most
        `tolerated`, whatever came before it, so it ever reaches `requests / chance` with a probability of at most
        `chance / requests` (Ville's inequality); there are `requests` requests to start from (union bound).
        """
        return log(self.requests / self.chance)


class Evidence:
    """What the requests say from that one on from which they say the most; nothing, where none would.

    This is CUSUM (E. S. Page, Continuous Inspection Schemes, Biometrika 41, 1954).
    """

    def __init__(self, policy: TripPolicy) -> None:
        self._failed, self._succeeded, self._limit = policy.failed, policy.succeeded, policy.limit
        self._weight, self._requests, self._failures = 0.0, 0, 0

    def add(self, *, failed: bool) -> str | None:
        """Enter an outcome. Returns why the canary has to stop, with the figures; None while it may go on."""
        self._weight += self._failed if failed else self._succeeded
        if self._weight <= 0.0:
            self._weight, self._requests, self._failures = 0.0, 0, 0
            return None
        self._requests += 1
        self._failures += failed
        if self._weight < self._limit:
            return None
        return f"{self._failures} of the last {self._requests} canary requests failed"
