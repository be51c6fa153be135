"""What the updater's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.orchestration.features.live.updaters import Stand


@pytest.fixture
def stand(tmp_path: Path, redis_url: str) -> Iterator[Stand]:
    with redis.Redis.from_url(redis_url) as client:
        yield Stand(tmp_path, client, client)
