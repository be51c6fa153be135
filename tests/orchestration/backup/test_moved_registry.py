"""Feast's registry in a home elsewhere names that home's files, and is otherwise as it was applied."""

from pathlib import Path
from typing import Any

import pytest

from orchestration.backup.create import create
from orchestration.backup.registry import move_registry
from orchestration.backup.restore import restore
from orchestration.features.store import apply, open_store
from orchestration.settings import ROOT, Settings

pytestmark = pytest.mark.integration
REPO = ROOT / "feature_repo"
NOWHERE = "redis://127.0.0.1:1/0"  # the registry is a file; Redis is not touched


def told(store: Any, home: Path) -> list[Any]:
    """Everything that is registered, with the home's name taken out."""
    found = [
        *store.list_feature_views(),
        *store.list_data_sources(),
        *store.list_feature_services(),
        *store.list_entities(),
    ]
    protos = [each.to_proto() for each in found]
    return sorted(str(proto).replace(f"{home}/", "HOME/") for proto in protos)


def test_a_restored_registry_names_the_files_of_its_new_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    old, new = tmp_path / "old", tmp_path / "a new" / "home"
    before = told(apply(REPO, old, NOWHERE), old)
    assert len(before) > 15
    assert sum("HOME/lake/features/" in one for one in before) > 15
    backup = create(Settings(home=old), tmp_path / "backups")
    old.rename(tmp_path / "destroyed")
    restore(backup, new)
    assert str(old).encode() not in (new / "feast" / "registry.sqlite").read_bytes().replace(b"\0", b"")
    store = open_store(REPO, new, NOWHERE)
    assert told(store, new) == before
    for view in store.list_feature_views():
        assert Path(view.batch_source.path) == new / "lake" / "features" / view.name


def test_a_registry_of_another_home_is_left_as_it_is(tmp_path: Path) -> None:
    before = told(apply(REPO, tmp_path / "home", NOWHERE), tmp_path / "home")
    move_registry(tmp_path / "home" / "feast" / "registry.sqlite", Path("/nowhere"), Path("/elsewhere"))
    assert told(open_store(REPO, tmp_path / "home", NOWHERE), tmp_path / "home") == before
