"""`python -m tests.bench.tracing`: what trace ids and spans cost a request, and what they cost where tracing is off.

`--before CHECKOUT` measures a checkout without tracing beside it: `git worktree add CHECKOUT COMMIT` makes one.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import redis

from tests.bench import traced_gateway
from tests.bench.machine import processor
from tests.bench.terminal import positive
from tests.servers import ROOT, redis_server
from tests.serving_gateway.support import CONTRACT, publish_state, put_all_views, state_of
from tests.serving_gateway.tracing.collector import Collector, collector

BY_RATIO = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}


def variants(url: str, before: Path | None) -> dict[str, tuple[Path, dict[str, str]]]:
    """(checkout, environment) of each, by name; `url` is the collector's."""
    on = {"OTEL_EXPORTER_OTLP_ENDPOINT": url} | BY_RATIO
    found: dict[str, tuple[Path, dict[str, str]]] = {"absent": (before, {})} if before is not None else {}
    found["off"] = (ROOT, {})
    for name, ratio in (("on, 0 %", "0.0"), ("on, 1 %", "0.01"), ("on, 100 %", "1.0")):
        found[name] = (ROOT, on | {"OTEL_TRACES_SAMPLER_ARG": ratio})
    return found


def measured(checkout: Path, home: Path, environ: dict[str, str], requests: int) -> float:
    """Microseconds of CPU for a request, by a gateway of `checkout` in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    settings = {"PYTHONPATH": str(checkout), "PLATFORM_HOME": str(home), "EVENT_CLOCK": "replay"}
    settings["GATEWAY_DEADLINE_MS"] = "60000"  # whatever runs beside it: what is measured is CPU
    # -P: what lies beside the file must not be taken for what it imports
    command = [sys.executable, "-P", traced_gateway.__file__, str(requests)]
    environment = kept | settings | environ
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{checkout}: {done.stderr[-2000:]}")
    return float(done.stdout)


def run(folder: Path, spans: Collector, options: argparse.Namespace) -> dict[str, list[float]]:
    """Every variant again and again, in turn: a machine that slows down slows all."""
    chosen = variants(spans.url, options.before)
    found: dict[str, list[float]] = {name: [] for name in chosen}
    with redis_server(folder) as server:
        for repetition in range(options.repetitions):
            for number, (name, (checkout, environ)) in enumerate(chosen.items()):
                with redis.Redis.from_url(server.url) as client:
                    client.flushall()
                    put_all_views(client)
                publish_state(server.url, state_of(CONTRACT), CONTRACT)
                home = folder / f"{repetition}-{number}"
                found[name].append(measured(checkout, home, environ | {"REDIS_URL": server.url}, options.requests))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table in Markdown. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tracing", description=__doc__)
    parser.add_argument("--before", type=Path, help="a checkout without tracing")
    parser.add_argument("--requests", type=positive, default=20_000, help="of a measurement [20000]")
    parser.add_argument("--repetitions", type=positive, default=7, help="of each variant [7]")
    options = parser.parse_args(argv)
    with TemporaryDirectory() as folder, collector() as spans:
        found = run(Path(folder), spans, options)
        taken = len(spans.spans)
    first = median(next(iter(found.values())))
    print(
        f"{processor()}; {options.repetitions} times {options.requests} requests; {taken} spans reached the collector\n"
    )
    print(f"| tracing | CPU µs a request, median (least to most) | to {next(iter(found))} |\n|---|---:|---:|")
    for name, figures in found.items():
        spread = f"{median(figures):.1f} ({min(figures):.1f} to {max(figures):.1f})"
        print(f"| {name} | {spread} | {median(figures) - first:+.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
