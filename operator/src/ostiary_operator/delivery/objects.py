"""Builds our ConfigMaps and Secrets, and compares them with those in the cluster. Pure."""

import base64
from collections.abc import Mapping
from typing import Any

from ostiary_core.contract.key_names import secret_name
from ostiary_core.contract.parts import config_map_name
from ostiary_operator.api import labels
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.delivery.secret import Keys
from ostiary_operator.kube.client import Object

_DATA = ("data", "binaryData")


def config_map(
    gateway: DiscoveredGateway, number: int, files: Mapping[str, bytes], *, replaces: Object | None
) -> Object:
    """Return the ConfigMap of one part: compressed files in ``binaryData``, text in ``data``."""
    compressed = {name: base64.b64encode(data).decode() for name, data in sorted(files.items()) if name.endswith(".gz")}
    plain = {name: data.decode() for name, data in sorted(files.items()) if not name.endswith(".gz")}
    body: Object = {"metadata": _metadata(gateway, config_map_name(gateway.name, number), replaces)}
    return body | ({"data": plain} if plain else {}) | ({"binaryData": compressed} if compressed else {})


def secret(gateway: DiscoveredGateway, keys: Keys, *, replaces: Object | None) -> Object:
    """Return the Secret with a gateway's keys."""
    data = {name: value.base64() for name, value in sorted(keys.entries().items())}
    return {"metadata": _metadata(gateway, secret_name(gateway.name), replaces), "type": "Opaque", "data": data}


def _metadata(gateway: DiscoveredGateway, name: str, replaces: Object | None) -> Object:
    owner = {"apiVersion": "v1", "kind": "Service", "name": gateway.service, "uid": gateway.uid}
    metadata: Object = {
        "name": name,
        "namespace": gateway.namespace,
        "labels": labels.of_outputs(gateway.name),
        "ownerReferences": [owner],
    }
    if replaces is not None:
        metadata["resourceVersion"] = replaces["metadata"]["resourceVersion"]
    return metadata


def is_as_wanted(body: Mapping[str, Any], live: Object | None) -> bool:
    """Return whether an object needs no write: its content, our labels and our owner are there."""
    if live is None or foreign_keys(body, live):
        return False
    metadata, wanted = live["metadata"], body["metadata"]
    return (
        all((live.get(key) or {}) == body.get(key, {}) for key in _DATA)
        and wanted["labels"].items() <= (metadata.get("labels") or {}).items()
        and all(owner in (metadata.get("ownerReferences") or []) for owner in wanted["ownerReferences"])
    )


def foreign_keys(body: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, dict[str, None]]:
    """Return a merge patch that removes keys which others added to one of our objects."""
    extra = {field: sorted((live.get(field) or {}).keys() - body.get(field, {}).keys()) for field in _DATA}
    return {field: dict.fromkeys(keys) for field, keys in extra.items() if keys}
