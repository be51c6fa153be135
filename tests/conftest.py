"""Fixtures over the real servers. `redis_url` is empty at each test; the others live as long as the session."""

import signal
from collections.abc import Iterator
from pathlib import Path

import prometheus_client  # noqa: F401 - before Feast, which would have every metric of this process share its files
import pytest
import redis
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.servers import MlflowServer, RedisServer, TritonServer, mlflow_server, redis_server, triton_server

OWN_STACK = ("tests/e2e/test_embedded.py", "tests/e2e/test_publishing_under_load.py")
# The demo and who looks around in it; a stack for those that replay whole days for a trial; another for the rest: each of
# the three takes about as long.
DEMO = "tests/e2e/demo/"
TRIALS = (
    "tests/e2e/test_backfill.py",
    "tests/e2e/test_difference_in_drift.py",
    "tests/e2e/test_led_trial.py",
    "tests/e2e/test_rollback.py",
)

# What takes a process seconds before its first test, and the files that need it: one worker pays for it. The tables of the
# whole year are read and tidied, a tracking server is started, the others are imported.
SHARED = {
    "the whole year": (
        "orchestration/defs/test_skew_asset.py",
        "orchestration/drift/test_drift_sample.py",
        "orchestration/features/skew/test_skew_of_a_day.py",
        "orchestration/features/test_columns.py",
        "orchestration/features/test_point_in_time.py",
        "orchestration/features/test_real_rows.py",
        "orchestration/ingestion/test_source.py",
        "orchestration/ingestion/test_tidy.py",
        "orchestration/replay/test_timeline.py",
    ),
    "MLflow": (
        "orchestration/defs/test_canary_verdict.py",
        "orchestration/defs/test_model_assets.py",
        "orchestration/defs/test_rollout_step.py",
        "orchestration/defs/test_trials.py",
        "orchestration/rollout/test_killed_rollout.py",
        "orchestration/rollout/test_log_replay_command.py",
        "orchestration/rollout/test_mirror.py",
        "orchestration/rollout/test_rescore.py",
        "orchestration/rollout/test_shadow_runs.py",
        "orchestration/training/test_pipeline.py",
        "orchestration/training/test_registry.py",
        "orchestration/training/test_validate_metrics.py",
    ),
    "Feast": (
        "orchestration/defs/test_feature_registry.py",
        "orchestration/defs/test_online_store.py",
        "orchestration/features/test_connection_string.py",
        "orchestration/features/test_encode.py",
        "orchestration/features/test_engine_connections.py",
        "orchestration/features/test_feast_store.py",
        "orchestration/features/test_reading_by_layout.py",
        "orchestration/features/test_redis_batch_engine.py",
        "orchestration/features/test_registry_while_materializing.py",
        "orchestration/replay/test_replay_through_gateway.py",
        "serving_gateway/contracts/test_online_layout.py",
    ),
    "Great Expectations": (
        "orchestration/defs/test_corrupted_day.py",
        "orchestration/features/test_chain.py",
        "orchestration/ingestion/test_expectations_of_days.py",
    ),
    "Evidently": (
        "orchestration/defs/test_drift_asset.py",
        "orchestration/drift/test_drift_files.py",
        "orchestration/drift/test_drift_report.py",
    ),
}
SCOPES = {f"tests/{file}": scope for scope, files in SHARED.items() for file in files}

# Each run draws examples of its own; a law that says nothing else is shown on so many.
settings.register_profile("each change", max_examples=40, deadline=None)
settings.load_profile("each change")

# A shell's background job ignores SIGINT; what we start would inherit that, and Dagster copies it to SIGTERM.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the session."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_process: RedisServer) -> str:
    """Address of a real Redis, flushed before the test."""
    with redis.Redis.from_url(redis_process.url) as client:
        client.flushall()
    return redis_process.url


@pytest.fixture(scope="session")
def triton_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PLATFORM_HOME of the session's Triton."""
    return tmp_path_factory.mktemp("a platform")  # a space, for the Python backend starts models through a shell


@pytest.fixture(scope="session")
def triton(triton_home: Path) -> Iterator[TritonServer]:
    """One Triton for the session, empty at its start; unpublish what you publish."""
    with triton_server(triton_home) as server:
        yield server


@pytest.fixture(scope="session")
def mlflow_tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One MLflow tracking server for the session."""
    with mlflow_server(tmp_path_factory.mktemp("tracking")) as server:
        yield server


class _ByStack(LoadScopeScheduling):
    """A file is one worker's; files that share an end-to-end stack, or what is SHARED, are too, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if not file.startswith("tests/e2e/") or file in OWN_STACK:
            return SCOPES.get(file, file)
        if file.startswith(DEMO):
            return "the demo"
        return "the stack of trials" if file in TRIALS else "the stack of the rest"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _ByStack:
    """How the workers of the tests divide them."""
    return _ByStack(config, log)
