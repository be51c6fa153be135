"""Whoever reads is never refused while a view is brought up to date in another process, nor whoever applies."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from orchestration.features.compute import write_features
from orchestration.features.store import apply, feast_environment, materialize, open_store
from orchestration.features.views import FEATURE_SERVICE, PROJECT, VIEWS
from tests.orchestration.features.lakes import raw_lake
from tests.servers import ROOT, wait_until

pytestmark = pytest.mark.integration

REPO = ROOT / "feature_repo"
START, END = date(2013, 2, 4), date(2013, 2, 6)
UNTIL = datetime(2013, 2, 5, 17, 30, tzinfo=UTC)
LATER = datetime(2013, 2, 5, 17, 50, tzinfo=UTC)
# What our configuration says, and what stood there or would stand there.
SERVES = {"  serve_features_while_materializing: true\n": ""}
ADDRESS, FORMER_ADDRESS = '"${FEAST_REGISTRY}"', "${PLATFORM_HOME}/feast/former.db"
ENTITY = {"origin": "JFK", "carrier": "B6", "dest": "MCO", "tailnum": "N505JB"}
MATERIALIZER = """
import sys
from datetime import datetime
from pathlib import Path
from orchestration.features.store import materialize, open_store
repo, home, redis_url, until = sys.argv[1:]
materialize(open_store(Path(repo), Path(home), redis_url), datetime.fromisoformat(until))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    raw_lake(folder, START, END)
    write_features(folder, START, END)
    return folder


@pytest.fixture
def home(lake: Path, tmp_path: Path) -> Path:
    """With the registry of an older platform in it, which nobody reads any more."""
    (tmp_path / "lake").symlink_to(lake)
    (tmp_path / "feast").mkdir()
    (tmp_path / "feast" / "registry.db").write_bytes(b"an older platform's")
    return tmp_path


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


@contextmanager
def held(repo: Path, home: Path, client: "redis.Redis", redis_url: str) -> Iterator["subprocess.Popen[str]"]:
    """A process in the middle of a view: its rows are read, and it stands still before the first of them is written."""
    client.execute_command("CLIENT", "PAUSE", 300_000, "WRITE")
    command = [sys.executable, "-c", MATERIALIZER, repo, home, redis_url, LATER.isoformat()]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: client.info("clients")["blocked_clients"] or process.poll() is not None, timeout_s=150)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGSTOP)
        yield process
    finally:
        go_on(process, client)
        _, told = process.communicate(timeout=150)
    assert process.returncode == 0, told


def go_on(process: "subprocess.Popen[str]", client: "redis.Redis") -> None:
    client.execute_command("CLIENT", "UNPAUSE")
    process.send_signal(signal.SIGCONT)


def edited(folder: Path, changes: Mapping[str, str]) -> Path:
    """A copy of the feature repo with another configuration."""
    repo = folder / "feature_repo"
    shutil.copytree(REPO, repo)
    configuration = repo / "feature_store.yaml"
    text = configuration.read_text()
    for ours, other in changes.items():
        assert ours in text
        text = text.replace(ours, other)
    configuration.write_text(text)
    return repo


def read(repo: Path, home: Path, redis_url: str) -> dict[str, list[Any]]:
    """What a client that starts now reads of every view."""
    store = open_store(repo, home, redis_url)
    answer = store.get_online_features(
        features=store.get_feature_service(FEATURE_SERVICE), entity_rows=[ENTITY]
    ).to_dict()
    assert {view.name for view in store.list_feature_views()} == {view.name for view in VIEWS}
    return answer  # type: ignore[no-any-return]


def test_reads_and_applies_go_on_while_a_view_is_brought_up_to_date(
    home: Path, redis_url: str, client: "redis.Redis"
) -> None:
    from feast.cli.cli import cli

    materialize(apply(REPO, home, redis_url), UNTIL)
    stored = read(REPO, home, redis_url)
    assert stored["e_org_dep_ewm1h_mean"] != [None]
    environment = feast_environment(home, redis_url) | {"DO_NOT_TRACK": "true"}
    listing = ["--chdir", str(REPO), "feature-views", "list"]
    with held(REPO, home, client, redis_url) as materializer:
        for _ in range(3):
            assert read(REPO, home, redis_url) == stored
        listed = CliRunner().invoke(cli, listing, env=environment)
        assert listed.exit_code == 0, listed.output
        assert [view.name for view in VIEWS if view.name not in listed.output] == []
        apply(REPO, home, redis_url)
        go_on(materializer, client)
        rounds = 0
        while materializer.poll() is None or rounds < 5:  # now it writes to the registry, view by view
            apply(REPO, home, redis_url)
            assert read(REPO, home, redis_url).keys() == stored.keys()
            rounds += 1
    assert read(REPO, home, redis_url) != stored
    assert (home / "feast" / "registry.db").read_bytes() == b"an older platform's"


@pytest.mark.full
def test_a_registry_in_a_file_refuses_what_ours_does_not(
    home: Path, redis_url: str, client: "redis.Redis", tmp_path: Path
) -> None:
    """That the test above can fail: it does with the configuration that was here before."""
    former = edited(tmp_path, {**SERVES, "registry_type: sql": "registry_type: file", ADDRESS: FORMER_ADDRESS})
    materialize(apply(former, home, redis_url), UNTIL)
    with (
        held(former, home, client, redis_url),
        pytest.raises(ValueError, match="is in state 'MATERIALIZING' and cannot serve features"),
    ):
        read(former, home, redis_url)


@pytest.mark.parametrize("changes", [{}, SERVES], ids=["ours", "Feast's default"])
def test_a_view_whose_state_says_so_is_read_all_the_same(
    home: Path, redis_url: str, tmp_path: Path, changes: dict[str, str]
) -> None:
    """Feast 0.67 keeps this state in a database only where something else of the view has changed too."""
    from feast.feature_view import FeatureViewState

    repo = edited(tmp_path, changes)
    store = apply(repo, home, redis_url)
    view = store.get_feature_view("tail_arrivals")
    view.description, view.state = "changed", FeatureViewState.MATERIALIZING
    store.registry.apply_feature_view(view, PROJECT)
    if changes:
        with pytest.raises(ValueError, match="cannot serve features"):
            read(repo, home, redis_url)
    else:
        assert read(repo, home, redis_url)["last_arr_at"] == [None]


def test_whoever_reads_the_registry_waits_for_nobody_who_writes_to_it(home: Path, redis_url: str) -> None:
    apply(REPO, home, redis_url)
    with closing(sqlite3.connect(home / "feast" / "registry.sqlite", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("DELETE FROM feature_views")
        assert read(REPO, home, redis_url)["last_arr_at"] == [None]


def test_an_empty_registry_is_not_materialized_in_silence(home: Path, redis_url: str) -> None:
    with pytest.raises(LookupError, match="materialize feature_registry first"):
        materialize(open_store(REPO, home, redis_url), UNTIL)


def test_another_database_holds_the_registry_where_it_is_named(home: Path, redis_url: str, tmp_path: Path) -> None:
    elsewhere = f"sqlite:///{tmp_path}/else where/registry.sqlite"
    apply(REPO, home, redis_url, elsewhere)
    assert len(open_store(REPO, home, redis_url, elsewhere).list_feature_views()) == len(VIEWS)
    assert open_store(REPO, home, redis_url).list_feature_views() == []


def test_what_is_no_address_of_a_database_is_said_without_its_password(home: Path) -> None:
    with pytest.raises(ValueError, match="FEAST_REGISTRY is no address of a database") as refused:
        open_store(REPO, home, "redis://127.0.0.1:1/0", "user:secret@host")
    assert "secret" not in str(refused.value)
