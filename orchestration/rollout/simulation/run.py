"""Every experiment, in chunks of runs on all cores; the same seed gives the same figures, however many cores there are."""

import multiprocessing
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from orchestration.rollout.betting import Floats
from orchestration.rollout.policy import EvidencePolicy
from orchestration.rollout.simulation.experiments import AUC_LOST, EXPERIMENTS, Found, Material
from orchestration.rollout.simulation.flights import Flights, weaker

CHUNK = 10  # runs side by side

# For each experiment and method, the requests or labels after which each run was decided, shape [runs].
Results = Mapping[str, Mapping[str, Floats]]
_Job = tuple[str, int, int, int]  # experiment, seed, chunk, runs


def prepared(flights: Flights, policy: EvidencePolicy, *, requests: int, seed: int) -> Material:
    """What the experiments draw from."""
    weak = weaker(flights, AUC_LOST, np.random.default_rng([seed, 0]))
    return Material(flights, weak, policy, requests)


def simulate(
    material: Material,
    *,
    runs: int,
    seed: int,
    workers: int | None = None,
    done: Callable[[int], object] = lambda _: None,
) -> Results:
    """Make `runs` runs of each experiment; `done` is told of every chunk's runs. `workers`: processes; None: all cores."""
    names = list(EXPERIMENTS)
    jobs = [(n, seed, at, min(CHUNK, runs - at)) for at in range(0, runs, CHUNK) for n in names]
    parts: dict[str, dict[str, list[Floats]]] = defaultdict(lambda: defaultdict(list))
    for (name, _, _, count), found in zip(jobs, _made(material, jobs, workers), strict=True):
        for method, stops in found.items():
            parts[name][method].append(stops)
        done(count)
    return {n: {m: np.concatenate(chunks) for m, chunks in methods.items()} for n, methods in parts.items()}


def _made(material: Material, jobs: list[_Job], workers: int | None) -> Iterator[Found]:
    if workers == 1:
        yield from (_run(material, job) for job in jobs)
        return
    # spawned, for polars' threads do not survive a fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or os.cpu_count(), context, _keep, (material,)) as pool:
        yield from pool.map(_run_kept, jobs)


def _run(material: Material, job: _Job) -> Found:
    name, seed, chunk, runs = job
    rng = np.random.default_rng([seed, 1 + list(EXPERIMENTS).index(name), chunk])
    return EXPERIMENTS[name](rng, runs, material)


_kept: list[Material] = []  # of a worker process


def _keep(material: Material) -> None:
    _kept.append(material)


def _run_kept(job: _Job) -> Found:
    return _run(_kept[0], job)
