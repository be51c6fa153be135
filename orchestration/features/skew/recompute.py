"""The logged predictions of a day recomputed and compared, window by window: memory does not grow with the day."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl

from orchestration.features.held import held_training_of
from orchestration.features.skew.facts import FACTS, bare_facts, facts
from orchestration.features.skew.late import late_rows
from orchestration.features.skew.offline import (
    Offline,
    current_rows,
    read_offline,
    request_inputs,
    request_values,
    stored_inputs,
    values,
)
from orchestration.features.skew.policy import CHUNK_ROWS, WINDOW
from orchestration.features.skew.report import SkewReport
from orchestration.features.skew.served import APART, Served, read_served
from orchestration.features.skew.tally import Compared, Tally
from orchestration.features.views import view_window
from serving_gateway.contracts.model import Input, ModelContract, RequestField

_DAY = timedelta(days=1)


class NotComputableError(Exception):
    """The day has no offline values; the message says what to do."""


def skew_of(
    lake: Path, day: date, contract_of: Callable[[str], ModelContract | None], *, late_events: Path
) -> SkewReport:
    """Recompute the features of every logged prediction of `day` and compare them with what was served.

    `contract_of` gives the contract of a digest, None where it is unknown; `late_events` is the folder of late.py.
    Raises NotComputableError where the day's features are held back or not stored.
    """
    start, end = view_window(day, day + _DAY)
    checked, contract_of = _Checked(), cache(contract_of)
    offline: tuple[Offline, pl.DataFrame] | None = None
    for first in _instants(start, end):
        served = read_served(lake, first, min(first + WINDOW, end), contract_of)
        if served.rows and offline is None:
            offline = _offline_of(lake, day), late_rows(late_events, day)
        checked.add(served, offline)
    return SkewReport(
        day=day.isoformat(), start=start.isoformat(), end=end.isoformat(), logged=checked.logged, rows=checked.rows,
        apart=dict(checked.apart), left_out=checked.left_out, features=[t.result() for t in checked.tallies.values()],
    )  # fmt: skip


class _Checked:
    """What has been compared so far."""

    def __init__(self) -> None:
        self.logged = self.rows = 0
        self.apart: Counter[str] = Counter(dict.fromkeys(APART, 0))
        self.tallies: dict[str, Tally] = {}
        self._why: dict[str, str] = {}
        self._strangers: Counter[str] = Counter()

    def add(self, served: Served, offline: tuple[Offline, pl.DataFrame] | None) -> None:
        """`offline`: the store and the late events; None where the window has no rows to compare."""
        self.logged += served.logged
        self.apart.update(served.apart)
        for contract, rows in served.rows if offline else ():
            store, late = offline  # type: ignore[misc]  # it is there
            self.rows += rows.height
            self._leave_out(contract, rows, store)
            for chunk in rows.iter_slices(CHUNK_ROWS):
                for compared in _compare(chunk, contract.inputs, store, late):
                    self.tallies.setdefault(compared.input.name, Tally(compared.input)).add(compared)

    @property
    def left_out(self) -> dict[str, str]:
        """Why inputs are not recomputed, or not in all rows, by name."""
        rows = {name: f"{n} rows: their request id is no known flight" for name, n in self._strangers.items() if n}
        return self._why | rows

    def _leave_out(self, contract: ModelContract, rows: pl.DataFrame, store: Offline) -> None:
        asked = request_inputs(contract.inputs, store.flights)
        done = {i.name for i in (*stored_inputs(contract.inputs, rows), *asked)}
        self._why |= {i.name: _missing(i, store) for i in contract.inputs if i.name not in done}
        if store.flights is not None:
            strangers = rows.join(store.flights, on="request_id", how="anti").height
            self._strangers.update({i.name: strangers for i in asked})


def _instants(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += WINDOW


def _offline_of(lake: Path, day: date) -> Offline:
    held = held_training_of(lake, day, day + _DAY)
    if day in held:
        raise NotComputableError(f"{day} has no offline values: {held[day]}; run ingest_and_compute for it")
    return read_offline(lake, day)


def _compare(rows: pl.DataFrame, inputs: Sequence[Input], store: Offline, late: pl.DataFrame) -> Iterator[Compared]:
    index = {i.name: at for at, i in enumerate(inputs)}
    vector = rows["vector"].list.to_array(len(inputs)).to_numpy()
    asked = request_inputs(inputs, store.flights)
    if store.flights is not None and asked:
        sent, known = request_values(rows, store.flights, asked)
        of_flights, at = rows.filter(known), known.arg_true().to_numpy()
        for j, i in enumerate(asked):
            served, offline = vector[at, index[i.name]], sent[at, j]
            yield Compared(i, of_flights, served, offline, bare_facts(of_flights, served, offline))
    stored = stored_inputs(inputs, rows)
    if not stored:
        return
    served = vector[:, [index[i.name] for i in stored]]
    offline = values(rows, store, current_rows(rows, store, stored), stored)
    told = facts(rows, stored, served, offline, store=store, late=late)
    for j, i in enumerate(stored):
        yield Compared(i, rows, served[:, j], offline[:, j], told.get(i.name, FACTS.to_frame()))


def _missing(i: Input, store: Offline) -> str:
    if not isinstance(i.source, RequestField):
        return "the offline store has no such feature for the entities of the rows"
    return "no training rows of the day are stored" if store.flights is None else "no training row has it"
