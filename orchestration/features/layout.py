"""Export of the feature service's Redis layout from Feast's registry, for the ModelContract."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from orchestration.features.views import FEATURE_SERVICE
from serving_gateway.contracts.online_layout import FeatureField, ValueType, ViewLayout


@dataclass(frozen=True)
class Planned:
    """What definitions say of the online store.

    Attributes:
        project: Feast's project, with which every key ends.
        key_version: how entity keys are serialized.
        views: names of all feature views, listed by a service or not.
        services: name of a feature service to the layouts of its views.
    """

    project: str
    key_version: int
    views: frozenset[str]
    services: Mapping[str, tuple[ViewLayout, ...]]


def view_layouts(store: Any, service: str = FEATURE_SERVICE) -> tuple[ViewLayout, ...]:
    """Where the service's views lie in Redis; views and their features sorted by name.

    Field names are hashed by Feast's own function. `store` is a `feast.FeatureStore` with applied definitions; raises
    Feast's FeatureServiceNotFoundException before that, and ValueError naming a feature of a type that the gateway cannot
    decode.
    """
    projections = store.get_feature_service(service).feature_view_projections
    return tuple(_layout(store, projection) for projection in sorted(projections, key=lambda p: str(p.name)))


def planned(store: Any, services: Collection[str]) -> Planned:
    """What `store` defines of these feature services; one that it does not define is left out.

    `store` is a `feast.FeatureStore` with applied definitions. Raises ValueError as `view_layouts` does.
    """
    defined = {str(service.name) for service in store.list_feature_services()}
    return Planned(
        project=store.project,
        key_version=store.config.entity_key_serialization_version,
        views=frozenset(str(view.name) for view in store.list_feature_views()),
        services={name: view_layouts(store, name) for name in sorted(defined & {*services})},
    )


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
            FeatureField(name=f.name, field=_mmh3(f"{view.name}:{f.name}").hex(), dtype=_value_type(view.name, f))
            for f in features
        ),
        ttl_s=int(view.ttl.total_seconds()) if view.ttl else 0,
    )


def _value_type(view: str, feature: Any) -> ValueType:
    known = _value_types()
    if feature.dtype not in known:
        raise ValueError(
            f"{view}:{feature.name} is of the type {feature.dtype}, which the gateway cannot read: take one of"
            f" {', '.join(map(str, known))}, or leave it out of the feature service"
        )
    return known[feature.dtype]


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
