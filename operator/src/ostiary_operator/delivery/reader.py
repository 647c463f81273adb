"""Reads back the delivered config: the operator has no other persistent state.

A config without a valid MAC is not ours. It is never trusted, neither to keep a version nor to drop one.
"""

import base64
import binascii
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from ostiary_core.contract import parts
from ostiary_core.contract.bundle import GatewayConfig, OpenedBundle, open_files, open_manifest
from ostiary_core.contract.documents import EntryDocument, PolicyDocument, SettingsDocument
from ostiary_core.contract.manifest import Manifest
from ostiary_core.contract.parts import MAX_PARTS, config_map_name
from ostiary_core.errors import ContractError
from ostiary_operator.api.objects import Object


@dataclass(frozen=True, slots=True)
class Delivered:
    """The last config of a gateway: the manifest if it is ours, the config if it is complete.

    ``problem`` says why a config exists that cannot be used.
    """

    manifest: Manifest | None = None
    config: GatewayConfig | None = None
    problem: str | None = None


def read(files: Mapping[str, bytes], mac_keys: Mapping[str, bytes], *, gateway: str) -> Delivered:
    """Read a config back from its files."""
    if parts.MANIFEST_FILE not in files:
        return Delivered()
    try:
        bundle = open_files(files, mac_keys, gateway=gateway)
    except ContractError as error:
        return Delivered(problem=str(error))
    try:
        return Delivered(bundle.manifest, _config(bundle))
    except ContractError as error:
        return Delivered(bundle.manifest, problem=str(error))


def read_manifest(files: Mapping[str, bytes], mac_keys: Mapping[str, bytes], *, gateway: str) -> Delivered:
    """Read the manifest, if it is ours and this gateway's, without reading the parts."""
    if parts.MANIFEST_FILE not in files:
        return Delivered()
    try:
        return Delivered(open_manifest(files, mac_keys, gateway=gateway))
    except ContractError as error:
        return Delivered(problem=str(error))


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


def documents_of(files: Mapping[str, bytes], number: int) -> dict[str, bytes]:
    """Return the valid documents of one part by digest; broken lines and files are omitted."""
    found: dict[str, bytes] = {}
    for name in filter(files.__contains__, parts.file_names(number)):
        with contextlib.suppress(ContractError):
            for key, document in parts.read(name, files[name], limit=parts.MAX_UNFOLDED_BYTES).documents.items():
                parts.check(key, document)
                found[key] = document
    return found


def needed(manifest: Manifest, documents: Mapping[str, bytes]) -> set[str]:
    """Return the digests of all documents in force, as far as the manifest's entries are given."""
    digests = {manifest.settings, *(entry.digest for entry in manifest.entries)}
    for entry in manifest.entries:
        if entry.digest in documents:
            digests.update(orjson.loads(documents[entry.digest]).get("policies", ()))
    return digests


def _config(bundle: OpenedBundle) -> GatewayConfig:
    try:
        settings = SettingsDocument.model_validate_json(bundle.take(bundle.manifest.settings))
        entries = {
            each.proxy: EntryDocument.model_validate_json(bundle.take(each.digest)) for each in bundle.manifest.entries
        }
        named = {digest for entry in entries.values() for digest in entry.policies}
        policies = {digest: PolicyDocument.model_validate_json(bundle.take(digest)) for digest in sorted(named)}
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ContractError(f"a document is not of this version: {first['loc']}: {first['msg']}") from None
    return GatewayConfig(bundle.manifest.gateway, settings, entries, policies)
