"""Reads a gateway's ConfigMaps as files, in the form that a directory has."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from ostiary_core.contract.parts import MAX_PARTS, config_map_name
from ostiary_operator.kube.client import Object


def files_of(config_map: Mapping[str, Any] | None) -> dict[str, bytes]:
    """Return the files in a ConfigMap; undecodable ones are empty, so that they are rejected."""
    obj = config_map or {}
    files = {name: (text or "").encode() for name, text in (obj.get("data") or {}).items()}
    for name, value in (obj.get("binaryData") or {}).items():
        try:
            files[name] = base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError):
            files[name] = b""
    return files


def numbered(gateway: str, config_maps: Mapping[str, Object]) -> dict[int, Object]:
    """Return a gateway's ConfigMaps by number."""
    found = {number: config_maps.get(config_map_name(gateway, number)) for number in range(MAX_PARTS)}
    return {number: obj for number, obj in found.items() if obj is not None}


def all_files(config_maps: Mapping[int, Object]) -> dict[str, bytes]:
    """Return the files of all ConfigMaps, as one directory would contain them."""
    return {name: content for number in sorted(config_maps) for name, content in files_of(config_maps[number]).items()}
