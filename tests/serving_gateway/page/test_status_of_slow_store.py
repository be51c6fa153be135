"""A store that hangs keeps no page waiting, and is not asked by more than one thread."""

import asyncio
import json
import threading
from types import SimpleNamespace
from typing import Any

from serving_gateway.control.store import Acknowledgement, RolloutStore
from serving_gateway.http import Request
from serving_gateway.page import status as module
from serving_gateway.page.status import Status

ASKED = Request("GET", "/status", {}, b"")


class SlowStore(RolloutStore):
    """Answers when it is let; counts who waits."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.asked = 0

    def heard(self) -> list[tuple[Acknowledgement, float]]:
        self.asked += 1
        self.let.wait(10)
        return [(Acknowledgement("one", 1, 2, 300, seen_at=0.0), 0.26)]

    def history(self, count: int = 100) -> list[Any]:
        assert count == module.HISTORY
        return []


def test_every_page_is_answered_in_time_and_one_thread_waits(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    store = SlowStore()
    follower: Any = SimpleNamespace(store_up=True, served=None, problem="no rollout state yet")
    tripwire: Any = SimpleNamespace(trip=None)
    asked = Status(gateway="one", follower=follower, tripwire=tripwire, store=store, links={})

    async def pages() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        hanging = [json.loads((await asked(ASKED)).body)["store"] for _ in range(2)]
        hanging += [json.loads(r.body)["store"] for r in await asyncio.gather(*(asked(ASKED) for _ in range(20)))]
        store.let.set()
        monkeypatch.setattr(module, "PATIENCE_S", 5)
        return hanging, json.loads((await asked(ASKED)).body)["store"]

    hanging, answered = asyncio.run(pages())
    assert (
        hanging == [{"up": False, "problem": "Redis does not answer in time", "gateways": None, "history": None}] * 22
    )
    assert answered["gateways"][0]["age_s"] == 0.3
    assert store.asked == 1, "the last page was answered by what had hung"
