"""Compiles transformations."""

from collections.abc import Sequence
from typing import Any

from ostiary_core.contract.transforms import (
    HeaderChangesConfig,
    PlaceChangesConfig,
    SetHeaderConfig,
    SetPlaceConfig,
    TransformConfig,
)
from ostiary_operator.api.content_rules import steps_of
from ostiary_operator.api.transforms import ChangedHeaders, ChangedPlaces, SetHeader, SetPlace, Transform


def transform_config(transform: Transform, selected: dict[str, Any]) -> TransformConfig:
    """Return what gateways read of one transformation.

    ``selected`` are the members that say where it applies.
    """
    return TransformConfig(
        **selected,
        name=transform.name,
        arguments=_changes(transform.arguments),
        headers=_header_changes(transform.headers),
        results=_changes(transform.results),
    )


def _changes(changes: ChangedPlaces | None) -> PlaceChangesConfig | None:
    if changes is None:
        return None
    removed = [steps_of(each) for each in changes.remove or ()]
    return PlaceChangesConfig(set=_places(changes.set), default=_places(changes.default), remove=removed or None)


def _places(places: Sequence[SetPlace] | None) -> list[SetPlaceConfig] | None:
    return [SetPlaceConfig(path=steps_of(each.path), value=each.value) for each in places or ()] or None


def _header_changes(changes: ChangedHeaders | None) -> HeaderChangesConfig | None:
    if changes is None:
        return None
    removed = list(changes.remove or ())
    return HeaderChangesConfig(set=_headers(changes.set), default=_headers(changes.default), remove=removed or None)


def _headers(headers: Sequence[SetHeader] | None) -> list[SetHeaderConfig] | None:
    return [SetHeaderConfig(name=each.name, value=each.value) for each in headers or ()] or None
