"""A setting that is none is one line that names it, not a traceback."""

import pytest

from orchestration.replay.__main__ import main


@pytest.mark.parametrize(
    ("variable", "value"),
    [("GATEWAY_PORT", "eight"), ("REDIS_URL", "localhost"), ("FEATURES_REDIS_URL", "redis+nonsense://127.0.0.1")],
)
def test_a_bad_setting_is_one_line(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setattr("sys.argv", ["replay", "2013-05-01", "2013-05-02"])
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as stopped:
        main()
    said = str(stopped.value)
    assert said.startswith(f"cannot replay: {variable}")
    assert "\n" not in said
