"""The logged predictions of a day recomputed and compared: rows in chunks, counts by feature and hour."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.held import held_training_of
from orchestration.features.skew.compare import Values, equal, exact
from orchestration.features.skew.facts import FACTS, bare_facts, facts
from orchestration.features.skew.late import read_late
from orchestration.features.skew.offline import (
    Offline,
    current_rows,
    read_offline,
    request_inputs,
    request_values,
    stored_inputs,
    values,
)
from orchestration.features.skew.policy import CHUNK_ROWS
from orchestration.features.skew.reasons import reasons
from orchestration.features.skew.report import HOURS, FeatureSkew, LargestDifference, SkewReport
from orchestration.features.skew.served import read_served
from orchestration.features.views import view_window
from serving_gateway.contracts.model import Input, ModelContract, RequestField, stored_features


class NotComputableError(Exception):
    """The day has no offline values; the message says what to do."""


def skew_of(
    lake: Path, day: date, contract_of: Callable[[str], ModelContract | None], *, late_events: Path
) -> SkewReport:
    """Recompute the features of every logged prediction of `day` and compare them with what was served.

    `contract_of` gives the contract of a digest, None where it is unknown; `late_events` is the folder of late.py.
    Raises NotComputableError where the day's features are held back or not stored.
    """
    served = read_served(lake, day, contract_of)
    start, end = view_window(day, day + timedelta(days=1))
    report = SkewReport(
        day=day.isoformat(), start=start.isoformat(), end=end.isoformat(),
        logged=served.logged, rows=served.compared, apart=served.apart,
    )  # fmt: skip
    if not served.compared:
        return report
    held = held_training_of(lake, day, day + timedelta(days=1))
    if day in held:
        raise NotComputableError(f"{day} has no offline values: {held[day]}; run ingest_and_compute for it")
    store, late = read_offline(lake, day), read_late(late_events, day)
    tallies: dict[str, _Tally] = {}
    left_out: dict[str, str] = {}
    for contract, rows in served.rows:
        left_out |= _left_out(contract.inputs, rows, store)
        for chunk in rows.iter_slices(CHUNK_ROWS):
            for compared in _compare(chunk, contract.inputs, store, late):
                tallies.setdefault(compared.input.name, _Tally(compared.input)).add(compared)
    return msgspec.structs.replace(report, left_out=left_out, features=[t.result() for t in tallies.values()])


@dataclass(frozen=True)
class _Compared:
    input: Input
    rows: pl.DataFrame
    served: Values
    offline: Values
    facts: pl.DataFrame


def _compare(rows: pl.DataFrame, inputs: Sequence[Input], store: Offline, late: pl.DataFrame) -> Iterator[_Compared]:
    index = {i.name: at for at, i in enumerate(inputs)}
    vector = rows["vector"].list.to_array(len(inputs)).to_numpy()
    asked = request_inputs(inputs, store.flights)
    if store.flights is not None and asked:
        sent, known = request_values(rows, store.flights, asked)
        of_flights, at = rows.filter(known), known.arg_true().to_numpy()
        for j, i in enumerate(asked):
            served, offline = vector[at, index[i.name]], sent[at, j]
            yield _Compared(i, of_flights, served, offline, bare_facts(of_flights, served, offline))
    stored = stored_inputs(inputs, rows)
    if not stored:
        return
    served = vector[:, [index[i.name] for i in stored]]
    offline = values(rows, store, current_rows(rows, store, stored), stored)
    told = facts(rows, stored, served, offline, store=store, late=late)
    for j, i in enumerate(stored):
        yield _Compared(i, rows, served[:, j], offline[:, j], told.get(i.name, FACTS.to_frame()))


class _Tally:
    """One input's counts over the chunks."""

    def __init__(self, i: Input) -> None:
        self._input = i
        self._exact = 0
        self._hours = np.zeros((2, HOURS), np.int64)  # rows, differing
        self._facts: list[pl.DataFrame] = []
        self._largest: tuple[float, LargestDifference] | None = None

    def add(self, compared: _Compared) -> None:
        served, offline = compared.served, compared.offline
        differs = ~equal(served, offline)
        self._exact += int(exact(served, offline).sum())
        hour = compared.rows["event_timestamp"].dt.hour().to_numpy()
        self._hours += np.stack([np.bincount(hour, minlength=HOURS), np.bincount(hour[differs], minlength=HOURS)])
        self._facts.append(compared.facts)
        if differs.any():
            found = _largest(compared, differs)
            if self._largest is None or found[0] > self._largest[0]:
                self._largest = found

    def result(self) -> FeatureSkew:
        rows, differing = self._hours
        found = pl.concat(self._facts).sort("event_timestamp", maintain_order=True)
        return FeatureSkew(
            feature=self._input.name,
            source=_source(self._input),
            rows=int(rows.sum()),
            exact=self._exact,
            differing=int(differing.sum()),
            reasons=reasons(found),
            largest=self._largest[1] if self._largest else None,
            differing_by_hour=differing.tolist(),
            rows_by_hour=rows.tolist(),
        )


def _largest(compared: _Compared, differs: NDArray[np.bool_]) -> tuple[float, LargestDifference]:
    """The greatest difference and its row; where every difference is to a missing value, -1 and the first of these."""
    with np.errstate(invalid="ignore"):
        size = np.abs(compared.served.astype(np.float64) - compared.offline.astype(np.float64))
    size = np.where(differs, np.nan_to_num(size, nan=-1.0), -2.0)
    at = int(size.argmax())
    row = compared.rows.row(at, named=True)
    return float(size[at]), LargestDifference(
        prediction_id=row["prediction_id"],
        event_time=row["event_timestamp"].isoformat(),
        entities={entity["name"]: entity["value"] for entity in row["entities"]},
        served=_or_none(compared.served[at]),
        offline=_or_none(compared.offline[at]),
    )


def _or_none(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)


def _source(i: Input) -> str:
    if isinstance(i.source, RequestField):
        return f"request field {i.source.field}"
    return ", ".join(f"{view}:{feature}" for view, feature in stored_features(i.source))


def _left_out(inputs: Sequence[Input], rows: pl.DataFrame, store: Offline) -> dict[str, str]:
    """Why inputs are not recomputed, by name."""
    done = {i.name for i in (*stored_inputs(inputs, rows), *request_inputs(inputs, store.flights))}
    why = {
        i.name: (
            ("no training rows of the day are stored" if store.flights is None else "no training row has it")
            if isinstance(i.source, RequestField)
            else "the offline store has no such feature for the entities of the rows"
        )
        for i in inputs
        if i.name not in done
    }
    known = set() if store.flights is None else {*store.flights["request_id"]}
    unknown = int((~rows["request_id"].is_in(list(known))).sum())
    if unknown and store.flights is not None:
        sent = [i.name for i in request_inputs(inputs, store.flights)]
        why |= dict.fromkeys(sent, f"{unknown} rows: their request id is no known flight")
    return why
