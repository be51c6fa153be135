"""Revisions of MLflow's and Dagster's databases, against Alembic's own reading of the installed packages."""

from pathlib import Path

import pytest

from orchestration.schema_revisions import DATABASES, SchemaError, known, require_current, revision_of, revisions
from tests.orchestration.backup.homes import database


def heads(home: Path, **other: str) -> None:
    for name, schema in DATABASES.items():
        database(home / name, other.get(schema.package, known(schema.package)[1]))


def test_databases_at_their_heads_and_those_that_are_not_there_are_well(tmp_path: Path) -> None:
    require_current(tmp_path)
    heads(tmp_path)
    require_current(tmp_path)
    assert revisions(tmp_path) == {name: known(schema.package)[1] for name, schema in DATABASES.items()}


@pytest.mark.parametrize("package", ["mlflow", "dagster"])
def test_a_newer_one_is_refused_with_what_to_install(tmp_path: Path, package: str) -> None:
    heads(tmp_path, **{package: "feedfacecafe"})
    with pytest.raises(
        SchemaError, match=f"at revision feedfacecafe, which {package} .* does not know.*requirements.lock"
    ):
        require_current(tmp_path)


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ("mlflow", ".venv/bin/mlflow db upgrade 'sqlite:///{home}/mlflow/mlflow.db'"),
        ("dagster", "DAGSTER_HOME='{home}/dagster' .venv/bin/dagster instance migrate"),
    ],
)
def test_an_older_one_is_refused_with_the_command_that_upgrades(tmp_path: Path, package: str, command: str) -> None:
    every, head = known(package)
    heads(tmp_path, **{package: min(every - {head})})
    with pytest.raises(SchemaError) as raised:
        require_current(tmp_path)
    assert str(raised.value).endswith(f"then run: {command.format(home=tmp_path)}")
    assert "make backup" in str(raised.value)


def test_an_empty_file_has_no_revision_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    assert revision_of(tmp_path / "empty.db") is None
    assert revision_of(tmp_path / "none.db") is None
    (tmp_path / "damaged.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(SchemaError, match=rf"{tmp_path}/damaged\.db cannot be read"):
        revision_of(tmp_path / "damaged.db")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("package", "scripts"), [("mlflow", "mlflow:store/db_migrations"), ("dagster", "dagster:_core/storage/alembic")]
)
def test_the_revisions_are_alembics(package: str, scripts: str) -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", scripts)
    found = ScriptDirectory.from_config(config)
    assert known(package) == ({script.revision for script in found.walk_revisions()}, found.get_current_head())
