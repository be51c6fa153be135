"""What a Dagster user expects of every definition: assets that say what they are and whose, jobs that can be configured."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest

from orchestration.definitions import defs as load

JOBS = [
    "check_skew", "compute_day", "ingest_and_compute", "judge_canary", "land_predictions", "materialize_online", "report_drift",
    "rollback", "train_challenger", "train_champion", "try_challenger",
]  # fmt: skip


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return load().get_repository_def()


def test_every_asset_says_what_it_is_and_whose(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.group_name != "default", key
        assert node.kinds, key
        own = {name for name in node.tags if not name.startswith("dagster/")}
        assert own, f"{key.to_user_string()} has no tag"


def test_every_check_describes_itself(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    bare = [key.to_user_string() for key in graph.asset_check_keys if not graph.get(key).description]
    assert bare == []


def test_every_job_describes_itself(repository: dg.RepositoryDefinition) -> None:
    bare = [job.name for job in repository.get_all_jobs() if job.name[0] != "_" and not job.description]
    assert bare == []


def undocumented(path: str, config_type: Any) -> Iterator[str]:
    """Paths of the fields below `config_type` without a description."""
    for name, field in (getattr(config_type, "fields", None) or {}).items():
        here = f"{path}.{name}"
        if not field.description:
            yield here
        yield from undocumented(here, field.config_type)
    if hasattr(config_type, "inner_type"):  # of a list, or of what may be left out
        yield from undocumented(path, config_type.inner_type)


def test_every_field_of_every_configuration_is_documented(repository: dg.RepositoryDefinition) -> None:
    bare = []
    for job in repository.get_all_jobs():
        for node in job.nodes:
            field = node.definition.config_field
            bare += list(undocumented(node.name, field.config_type)) if field else []
        for name, resource in job.resource_defs.items():
            if name != "io_manager" and resource.config_schema:
                bare += list(undocumented(name, resource.config_schema.config_type))
    assert sorted(set(bare)) == []


def test_an_undocumented_field_is_found() -> None:
    class Inner(dg.Config):
        days: int

    class Outer(dg.Config):
        inner: Inner
        many: list[Inner]

    @dg.op
    def work(config: Outer) -> None:
        return

    found = set(undocumented("work", work.config_field.config_type))
    assert found == {"work.inner", "work.inner.days", "work.many", "work.many.days"}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_is_runnable_as_the_launchpad_fills_it_in(repository: dg.RepositoryDefinition, name: str) -> None:
    """No configuration at all is a valid one: every field has a default."""
    dg.validate_run_config(repository.get_job(name), {})


def test_the_jobs_that_people_know_are_there(repository: dg.RepositoryDefinition) -> None:
    assert set(JOBS) <= {job.name for job in repository.get_all_jobs()}


def test_day_ranges_are_checked() -> None:
    from orchestration.defs.common import parse_days

    assert parse_days("2013-01-01", "2013-01-03") == (date(2013, 1, 1), date(2013, 1, 1) + timedelta(days=2))
    with pytest.raises(dg.Failure, match="YYYY-MM-DD"):
        parse_days("January", "2013-01-03")
    with pytest.raises(dg.Failure, match="holds no day"):
        parse_days("2013-01-03", "2013-01-03")
