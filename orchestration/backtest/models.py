"""The models of the backtest: fitted by the production recipe, once for the same samples and parameters."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestration.backtest.world import Floats, World
from orchestration.drift.folder import write_whole
from orchestration.training.lightgbm_recipe import PARAMETERS, ROUNDS, train

# Rows that are scored together.
CHUNK = 4096


@dataclass
class Models:
    """Models of a world, each named by the day before which it learned everything; their boosters are kept in `folder`."""

    world: World
    first: date
    folder: Path
    rounds: int = ROUNDS
    _boosters: dict[date, Any] = field(default_factory=dict)
    _scores: dict[date, Floats] = field(default_factory=dict)

    def scores(self, learned: date, rows: slice) -> Floats:
        """Probabilities of label 1 of the world's `rows` by the model that learned from [first, `learned`), float64."""
        known = self._scores.setdefault(learned, np.full(len(self.world.labels), np.nan))
        first, stop = rows.start // CHUNK * CHUNK, rows.stop
        for start in range(first, stop, CHUNK):
            chunk = slice(start, min(start + CHUNK, len(known)))
            if np.isnan(known[chunk.start]):
                known[chunk] = self.score(learned, self.world.vectors[chunk])
        return known[rows]

    def score(self, learned: date, vectors: NDArray[np.float32]) -> Floats:
        """The same of vectors [n, k] that are not the world's."""
        if not len(vectors):
            return np.empty(0)
        return np.asarray(self._booster(learned).predict(vectors, num_threads=1), np.float64)

    def fit_all(self, learned: Sequence[date], done: Callable[[], object]) -> None:
        """Fit what is not kept yet, as many at once as there are cores; `done` is called after each."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(self._booster, learned):
                done()

    def _booster(self, learned: date) -> Any:
        if learned not in self._boosters:
            self._boosters[learned] = self._fitted(learned)
        return self._boosters[learned]

    def _fitted(self, learned: date) -> Any:
        import lightgbm as lgb

        samples = self.world.samples(self.first, learned)
        recipe = json.dumps([dict(PARAMETERS), self.rounds, lgb.__version__], sort_keys=True)
        digest = hashlib.sha256(recipe.encode())
        digest.update(samples.vectors.tobytes())
        digest.update(samples.labels.tobytes())
        kept = self.folder / f"{self.first}_{learned}_{digest.hexdigest()[:16]}.txt"
        if not kept.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(kept, train(samples, self.world.inputs, rounds=self.rounds).save_model)
        return lgb.Booster(model_file=kept)
