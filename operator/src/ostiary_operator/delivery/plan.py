"""Plans the writes that put a config in force, and their order.

They write the ConfigMaps and the Secret; the functions here are pure. A crash between two writes is safe, because of
this order:

    1. the Secret, with old and new keys      so that the MAC of either manifest can be verified,
       and credentials; the Secret with       and either has the credentials that it names
       the bearer of evidence alone
    2. parts 1 and up, with the documents     so that either manifest finds all that it names
       of the old and of the new manifest
    3. part 0 with the new manifest           from here on the new one is in force
    4. parts without unneeded documents,      once every replica runs the new one
       the Secret without old credentials

An object that is already as desired is not written. Unchanged content keeps its revision.
"""

import base64
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ostiary_core.contract import change_trace, parts, revisions
from ostiary_core.contract.bundle import Bundle, stamp, with_head
from ostiary_core.contract.key_names import EVIDENCE_TOKEN, evidence_secret_name, secret_name
from ostiary_core.contract.manifest import Manifest
from ostiary_core.contract.parts import config_map_name
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api import labels
from ostiary_operator.api.objects import Object, name_of
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.delivery import credentials, reader
from ostiary_operator.delivery.secret import Keys, parse_secret
from ostiary_operator.kube import kinds
from ostiary_operator.kube.kinds import CONFIG_MAP, SECRET, Kind

_DATA = ("data", "binaryData")
_NO_FILES: Final[Mapping[str, bytes]] = {}
#: The most bytes of content in a ConfigMap; the API server's limit is 1 MiB with the metadata.
_MAX_CONTENT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Current:
    """The objects of a gateway as they are now."""

    config_maps: Mapping[int, Object] = field(default_factory=dict)
    secret: Object | None = None
    manifest: Manifest | None = None
    """Only if its MAC is valid."""
    evidence_secret: Object | None = None
    may_share_evidence: bool = True


@dataclass(frozen=True, slots=True)
class Write:
    """One object to apply."""

    kind: Kind
    body: Object
    manager: str
    live: Object | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The writes in their order, and the manifest that is in force after them.

    ``steps`` run one after another; the writes of one step may run in parallel. ``prunable`` is set where documents
    or credentials wait to be pruned.
    """

    steps: tuple[tuple[Write, ...], ...]
    manifest: Manifest
    prunable: bool

    @property
    def writes(self) -> tuple[Write, ...]:
        """All writes."""
        return tuple(write for step in self.steps for write in step)


def stamped(
    bundle: Bundle,
    current: Manifest | None,
    keys: Keys,
    *,
    now: float,
    floor: int,
    files: Mapping[str, bytes] = _NO_FILES,
    traceparent: str | None = None,
) -> Bundle:
    """Return the bundle with the current manifest, or a new revision if its content changed.

    ``floor`` is the highest known revision; ``now`` is in epoch seconds. A new revision gets the trace context of its
    change, if that is recorded; the current one keeps the context that it has among its ``files``.
    """
    key_name, key = keys.signing(now)
    if current is not None and _may_stay(current, bundle, key_name=key_name, now=now):
        kept = with_head(current, bundle.files, key_name=key_name, key=key.reveal())
        return _with_files(kept, change_trace.kept(files, keys.mac_keys(), revision=current.revision))
    known = (floor, current.revision if current is not None else 0)
    revision = revisions.following(*known, now=now)
    new = stamp(bundle, revision=revision, key_name=key_name, key=key.reveal())
    if traceparent is None:
        return new
    return _with_files(new, change_trace.write(traceparent, revision=revision, key_name=key_name, key=key.reveal()))


def _with_files(bundle: Bundle, files: Mapping[str, bytes]) -> Bundle:
    return replace(bundle, head={**bundle.head, **files})


def _may_stay(current: Manifest, bundle: Bundle, *, key_name: str, now: float) -> bool:
    """Return whether the current manifest has the desired content, and gateways accept it."""
    return (
        current.same_content(bundle.manifest)
        and current.mac is not None
        and current.mac.key == key_name
        and not revisions.is_absurd(current.revision, now=now)
    )


def make_plan(gateway: DiscoveredGateway, bundle: Bundle, keys: Keys, current: Current, *, acknowledged: bool) -> Plan:
    """Compare the desired objects with the current ones, and return the writes.

    ``bundle`` is stamped. ``acknowledged`` means that every ready replica runs the manifest in force.
    """
    prune = acknowledged and bundle.manifest == current.manifest
    contents, kept = _contents(bundle, current, prune=prune)
    first, *others = [_part_write(gateway, number, contents[number], current) for number in sorted(contents)]
    earlier = {} if prune else _earlier_credentials(bundle, current, kept)
    held = replace(keys, credentials=credentials.with_earlier(keys.credentials, earlier))
    steps = (_secret_writes(gateway, held, current), others, [first])
    exact = dict(enumerate(bundle.files))
    return Plan(
        steps=tuple(tuple(write for write in step if not is_as_wanted(write.body, write.live)) for step in steps),
        manifest=bundle.manifest,
        prunable=any(files != exact.get(number, {}) for number, files in contents.items() if number)
        or len(held.credentials) > len(keys.credentials),
    )


def _secret_writes(gateway: DiscoveredGateway, keys: Keys, current: Current) -> list[Write]:
    body = secret(gateway, keys, replaces=current.secret)
    writes = [Write(SECRET, body, kinds.SECRET_MANAGER, current.secret)]
    if keys.evidence_token is not None and current.may_share_evidence:
        shared = evidence_secret(gateway, keys.evidence_token, replaces=current.evidence_secret)
        writes.append(Write(SECRET, shared, kinds.SECRET_MANAGER, current.evidence_secret))
    return writes


def _part_write(gateway: DiscoveredGateway, number: int, files: Mapping[str, bytes], current: Current) -> Write:
    old = current.config_maps.get(number)
    return Write(CONFIG_MAP, config_map(gateway, number, files, replaces=old), kinds.CONFIG_MANAGER, old)


def _earlier_credentials(bundle: Bundle, current: Current, kept: Iterable[bytes]) -> credentials.Credentials:
    """Return the delivered credentials that replicas may still need.

    They are those of the manifest before the new one.
    """
    delivered = parse_secret(current.secret).credentials
    return delivered if bundle.manifest == current.manifest else credentials.named_in(kept, delivered)


def _contents(bundle: Bundle, current: Current, *, prune: bool) -> tuple[dict[int, Mapping[str, bytes]], list[bytes]]:
    """Return the files of every part that is desired or exists, and the documents to keep.

    Those are of earlier manifests, among the parts that change.
    """
    contents: dict[int, Mapping[str, bytes]] = dict(enumerate(bundle.files))
    contents[0] = {**bundle.head, **bundle.files[0]}
    files = {number: reader.files_of(obj) for number, obj in current.config_maps.items()}
    # A part that is already as desired contains nothing else, and need not be read: most parts do not change.
    present = {
        number: reader.documents_of(found, number)
        for number, found in files.items()
        if number == 0 or found != contents.get(number)
    }
    still_needed: Collection[str] = set() if prune else _still_needed(bundle.manifest, current.manifest, present)
    for number in sorted({*contents, *present} - {0}):
        old = present.get(number, {})
        kept = {digest: document for digest, document in old.items() if digest in still_needed}
        contents[number] = _joined(number, contents.get(number, {}), kept)
    return contents, [text for old in present.values() for digest, text in old.items() if digest in still_needed]


def _still_needed(
    new: Manifest, current: Manifest | None, present: Mapping[int, Mapping[str, bytes]]
) -> Collection[str]:
    """Return the digests that replicas may still need from earlier manifests.

    ``lying`` are the documents of the parts that change. An entry in another part is in the new manifest too, and so is
    all that it names.
    """
    if current is None:
        return set()
    documents = {key: document for found in present.values() for key, document in found.items()}
    # The same manifest again: the other documents were kept for replicas that did not run it yet.
    return set(documents) if new == current else reader.needed(current, documents)


def _joined(number: int, new: Mapping[str, bytes], kept: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return one file with the documents of both, unless that is too large or adds nothing."""
    if not kept:
        return new
    documents = reader.documents_of(new, number)
    if kept.keys() <= documents.keys():
        return new
    lines = parts.fold({**kept, **documents})
    if new and len(lines) > len(parts.fold(documents)) + parts.SPARE_BYTES:
        return new  # gateways would not decompress it
    name, content = parts.pack(number, lines)
    return {name: content} if len(content) <= _MAX_CONTENT else new


def config_map(
    gateway: DiscoveredGateway, number: int, files: Mapping[str, bytes], *, replaces: Object | None
) -> Object:
    """Return the ConfigMap of one part: compressed files in ``binaryData``, text in ``data``."""
    compressed = {name: base64.b64encode(data).decode() for name, data in sorted(files.items()) if name.endswith(".gz")}
    plain = {name: data.decode() for name, data in sorted(files.items()) if not name.endswith(".gz")}
    body: Object = {"metadata": _metadata(gateway, config_map_name(gateway.name, number), replaces)}
    return body | ({"data": plain} if plain else {}) | ({"binaryData": compressed} if compressed else {})


def secret(gateway: DiscoveredGateway, keys: Keys, *, replaces: Object | None) -> Object:
    """Return the Secret with a gateway's keys and credentials."""
    data = {name: value.base64() for name, value in sorted(keys.entries().items())}
    return {"metadata": _metadata(gateway, secret_name(gateway.name), replaces), "type": "Opaque", "data": data}


def evidence_secret(gateway: DiscoveredGateway, token: SecretBytes, *, replaces: Object | None) -> Object:
    """Return the Secret with the bearer of evidence alone, which a console may read."""
    metadata = _metadata(gateway, evidence_secret_name(gateway.name), replaces)
    return {"metadata": metadata, "type": "Opaque", "data": {EVIDENCE_TOKEN: token.base64()}}


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


def what(write: Write) -> str:
    """Return the name of a write for logs."""
    return f"{write.kind.name} {name_of(write.body)}"
