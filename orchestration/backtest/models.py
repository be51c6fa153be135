"""The models of the backtest: fitted by the production recipe, once for the same samples and parameters."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from orchestration.backtest.world import Floats, World
from orchestration.drift.folder import write_whole
from orchestration.training.lightgbm_recipe import PARAMETERS, ROUNDS, train


@dataclass
class Models:
    """Boosters of a world by the day before which they learned everything; kept in `folder` by what they learned from."""

    world: World
    first: date
    folder: Path
    rounds: int = ROUNDS
    _boosters: dict[date, Any] = field(default_factory=dict)
    _scores: dict[tuple[date, int, int], Floats] = field(default_factory=dict)

    def scores(self, learned: date, rows: slice) -> Floats:
        """Probabilities of label 1 by the model that learned from the days [first, `learned`), float64 [rows]."""
        key = (learned, rows.start, rows.stop)
        if key not in self._scores:
            self._scores[key] = self.score(learned, self.world.vectors[rows])
        return self._scores[key]

    def score(self, learned: date, vectors: Any) -> Floats:
        """The same of vectors float32 [n, k] that are not the world's."""
        if not len(vectors):
            return np.empty(0)
        return np.asarray(self._booster(learned).predict(vectors, num_threads=1), np.float64)

    def fit_all(self, learned: Iterable[date], done: Callable[[date], object]) -> None:
        """Fit what is not kept yet, as many at once as there are cores; `done` is called after each."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for day, _ in zip(days := list(learned), pool.map(self._booster, days), strict=True):
                done(day)

    def _booster(self, learned: date) -> Any:
        if learned not in self._boosters:
            self._boosters[learned] = self._fitted(learned)
        return self._boosters[learned]

    def _fitted(self, learned: date) -> Any:
        import lightgbm as lgb

        samples = self.world.samples(self.first, learned)
        recipe = json.dumps([dict(PARAMETERS), self.rounds, lgb.__version__], sort_keys=True)
        digest = hashlib.sha256(recipe.encode())
        digest.update(samples.vectors)
        digest.update(samples.labels)
        kept = self.folder / f"{self.first}_{learned}_{digest.hexdigest()[:16]}.txt"
        if not kept.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(kept, train(samples, self.world.inputs, rounds=self.rounds).save_model)
        return lgb.Booster(model_file=kept)
