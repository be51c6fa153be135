"""The definition graph as text: `python -m tests.orchestration.defs.snapshot` writes graph.json anew.

A change of the graph is then seen in review: which asset lost a dependency, which check stopped blocking.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import dagster as dg

GRAPH = Path(__file__).with_name("graph.json")


def snapshot(repository: dg.RepositoryDefinition) -> dict[str, Any]:
    """Assets, checks, jobs, schedules and sensors by name."""
    graph = repository.asset_graph
    return {
        "assets": {
            key.to_user_string(): {
                "deps": names(graph.get(key).parent_keys),
                "group": graph.get(key).group_name,
                "partitioned": graph.get(key).partitions_def is not None,
                "materializable": graph.get(key).is_materializable,
            }
            for key in sorted(graph.get_all_asset_keys())
        },
        "checks": {
            f"{key.asset_key.to_user_string()}:{key.name}": {"blocking": graph.get(key).blocking}
            for key in sorted(graph.asset_check_keys)
        },
        "jobs": {job.name: selected(job) for job in by_name(repository.get_all_jobs()) if job.name[0] != "_"},
        "schedules": {
            schedule.name: {
                "cron": schedule.cron_schedule,
                "job": schedule.job_name,
                "default": schedule.default_status.value,
            }
            for schedule in by_name(repository.schedule_defs)
        },
        "sensors": {
            sensor.name: {
                "jobs": [target.job_name for target in sensor.targets],
                "every seconds": sensor.minimum_interval_seconds,
                "default": sensor.default_status.value,
            }
            for sensor in by_name(repository.sensor_defs)
        },
    }


def names(keys: Any) -> list[str]:
    return sorted(key.to_user_string() for key in keys)


def by_name(definitions: Any) -> list[Any]:
    return sorted(definitions, key=lambda found: found.name)


def selected(job: dg.JobDefinition) -> list[str]:
    """Keys of the job's assets, or the ops of a job without assets."""
    return names(job.asset_layer.executable_asset_keys) or sorted(node.name for node in job.nodes)


def text(repository: dg.RepositoryDefinition) -> str:
    """JSON with one definition a line, so that a difference reads well."""
    sections = [
        f'"{section}": {{\n' + ",\n".join(f'  "{name}": {json.dumps(one)}' for name, one in found.items()) + "\n}"
        for section, found in snapshot(repository).items()
    ]
    return "{\n" + ",\n".join(sections) + "\n}\n"


def main() -> None:
    for variable in [name for name in os.environ if name.startswith("CRON_")]:
        del os.environ[variable]
    from orchestration.definitions import defs

    GRAPH.write_text(text(defs().get_repository_def()))
    print(f"wrote {GRAPH}")


if __name__ == "__main__":
    sys.exit(main())
