"""Evidently's part of a report. Its import alone takes as long as a decision on a million rows: the two run side by side."""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import polars as pl

from orchestration.drift.policy import DRIFT_SHARE, METHOD, SAMPLE_ROWS


@dataclass(frozen=True)
class Drawing:
    """Evidently's page and its figures."""

    html: str
    json: bytes


# Starts to draw (reference, current, PSI from which each column to be shown has drifted).
Draw = Callable[[pl.DataFrame, pl.DataFrame, Mapping[str, float]], "Future[Drawing]"]


@contextmanager
def drawing(rows: int, *, seed: int = 0) -> Iterator[Draw]:
    """Make ready to draw a window of `rows` rows.

    Above SAMPLE_ROWS rows it happens beside what the caller does, in a process of its own, and a sample is drawn, of
    this `seed`. Below, a second import would only cost.
    """
    if rows <= SAMPLE_ROWS:
        yield partial(_start, _at_once, seed)
        return
    # Spawned, not forked: polars' threads do not survive a fork.
    beside = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    try:
        beside.submit(_make_ready)
        yield partial(_start, beside.submit, seed)
    finally:
        beside.shutdown(wait=False)  # it takes a second to forget what it has imported


def sample(frame: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """The frame, or SAMPLE_ROWS rows of it: the same rows for the same seed."""
    return frame if frame.height <= SAMPLE_ROWS else frame.sample(SAMPLE_ROWS, seed=seed)


def _start(
    submit: Callable[..., "Future[Drawing]"],
    seed: int,
    reference: pl.DataFrame,
    current: pl.DataFrame,
    limits: Mapping[str, float],
) -> "Future[Drawing]":
    windows = (sample(window.select(list(limits)), seed) for window in (reference, current))
    return submit(_draw, *windows, dict(limits))


def _at_once(draw: Callable[..., Drawing], *windows: object) -> "Future[Drawing]":
    done: Future[Drawing] = Future()
    done.set_result(draw(*windows))
    return done


def _make_ready() -> None:
    # Evidently reads this when it is imported; a report must not call home.
    os.environ.setdefault("EVIDENTLY_DISABLE_TELEMETRY", "1")
    import evidently.presets  # noqa: F401


def _draw(reference: pl.DataFrame, current: pl.DataFrame, limits: dict[str, float]) -> Drawing:
    _make_ready()
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    preset = DataDriftPreset(method=METHOD, drift_share=DRIFT_SHARE, per_column_threshold=limits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, from empty histogram bins inside Evidently
        snapshot = Report([preset]).run(
            current_data=Dataset.from_pandas(current.to_pandas()),
            reference_data=Dataset.from_pandas(reference.to_pandas()),
        )
        return Drawing(snapshot.get_html_str(as_iframe=False), snapshot.json().encode())
