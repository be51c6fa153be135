"""python -m serving_gateway.history against a real Redis."""

import msgspec
import pytest
import redis

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control import keys
from serving_gateway.control.steps import begin_trial
from serving_gateway.control.transitions import rolled_back
from serving_gateway.history import main
from tests.servers import free_port
from tests.serving_gateway.support import CONTRACT, NOW, TWO, arm_of, publish_state, state_of

TRIED = state_of(CONTRACT, TWO, shadow=TWO, weight_bp=1000, shadow_fraction=1.0)


@pytest.fixture
def there(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REDIS_URL", redis_url)
    return redis_url


@pytest.mark.integration
def test_the_changes_stand_in_order_with_who_and_why(there: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = publish_state(there, TRIED, CONTRACT, TWO)
    store.change(lambda s: rolled_back(s, actor="gateway:g", reason="10 failed in a row", now=NOW))
    assert main([]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert "1:1  canary: delay_v1, delay_v2 10 %, shadow 100%" in first
    assert last == "2026-01-01T00:00:00Z  1:2  rolled_back: delay_v1, delay_v2 0 %  by gateway:g: 10 failed in a row"
    assert main(["--last", "1", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert msgspec.json.decode(line, type=RolloutState) == store.read()


@pytest.mark.integration
def test_the_step_of_a_trial_is_told(there: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = publish_state(there, state_of(CONTRACT), CONTRACT, TWO)
    by = {"event_time": NOW, "actor": "a", "reason": "r", "now": NOW}
    store.change(lambda s: begin_trial(s, arm_of(TWO), weight_bp=0, shadow_fraction=1.0, **by))  # type: ignore[arg-type]
    assert main(["--last", "1"]) == 0
    assert "1:2  shadow: delay_v1, delay_v2 0 %, shadow 100%, step 0  by a: r" in capsys.readouterr().out


@pytest.mark.integration
def test_a_rollout_that_never_changed_says_so(there: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "never changed" in capsys.readouterr().out


@pytest.mark.integration
def test_an_entry_that_is_no_state_is_one_clear_line(there: str, capsys: pytest.CaptureFixture[str]) -> None:
    with redis.Redis.from_url(there) as client:
        client.xadd(keys.AUDIT, {"state": b"{"})
    assert main([]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"history: {keys.AUDIT} ")
    assert "in Redis is unreadable" in told
    assert told.count("\n") == 1


def test_redis_away_and_bad_arguments_are_clear(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:s3cret@127.0.0.1:{free_port()}/0")
    assert main([]) == 1
    told = capsys.readouterr().err
    assert told.startswith("history: Redis at redis://127.0.0.1:")
    assert "s3cret" not in told
    for bad in ("0", "-1", "all"):
        with pytest.raises(SystemExit) as ended:
            main(["--last", bad])
        assert ended.value.code == 2
