"""Export of the feature service's Redis layout from Feast's registry, for the ModelContract."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from orchestration.features.views import FEATURE_SERVICE
from serving_gateway.contracts.online_layout import FeatureField, ValueType, ViewLayout


def view_layouts(store: Any, service: str = FEATURE_SERVICE) -> tuple[ViewLayout, ...]:
    """Where the service's views lie in Redis; views and their features sorted by name.

    Field names are hashed by Feast's own function. `store` is a `feast.FeatureStore` with applied definitions; raises
    Feast's FeatureServiceNotFoundException before that, and KeyError for a feature type that the gateway cannot decode.
    """
    projections = store.get_feature_service(service).feature_view_projections
    return tuple(_layout(store, projection) for projection in sorted(projections, key=lambda p: str(p.name)))


def write_layouts(path: Path, layouts: Sequence[ViewLayout]) -> None:
    """Keep an exported layout as JSON, replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_bytes(msgspec.json.encode(layouts))
    draft.replace(path)


def read_layouts(path: Path) -> tuple[ViewLayout, ...]:
    """The layout that `write_layouts` kept.

    Raises FileNotFoundError where none was exported yet, msgspec.ValidationError with the path of a broken field.
    """
    return msgspec.json.decode(path.read_bytes(), type=tuple[ViewLayout, ...])


def _layout(store: Any, projection: Any) -> ViewLayout:
    from feast.feature_view import DUMMY_ENTITY_ID
    from feast.infra.online_stores.helpers import _mmh3

    view = store.get_feature_view(projection.name)
    features = sorted(projection.features, key=lambda f: str(f.name))
    return ViewLayout(
        name=view.name,
        join_keys=tuple(sorted(key for key in view.join_keys if key != DUMMY_ENTITY_ID)),
        features=tuple(
            FeatureField(name=f.name, field=_mmh3(f"{view.name}:{f.name}").hex(), dtype=_value_types()[f.dtype])
            for f in features
        ),
        ttl_s=int(view.ttl.total_seconds()) if view.ttl else 0,
    )


def _value_types() -> dict[Any, ValueType]:
    from feast import types

    return {
        types.String: "string",
        types.Int32: "int32",
        types.Int64: "int64",
        types.Float64: "double",
        types.Float32: "float",
        types.UnixTimestamp: "unix_timestamp",
        types.Array(types.Float64): "double_list",
    }
