"""The recipes by name. A new one is a function of `recipe.Recipe`'s shape and a line here."""

from collections.abc import Mapping
from enum import Enum

from orchestration.training import lightgbm_recipe, network_recipe
from orchestration.training.recipe import Recipe


class RecipeName(Enum):
    """What a run's configuration calls a recipe."""

    lightgbm = "lightgbm"
    network = "network"


RECIPES: Mapping[RecipeName, Recipe] = {
    RecipeName.lightgbm: lightgbm_recipe.fit,
    RecipeName.network: network_recipe.fit,
}
