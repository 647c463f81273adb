"""What to write so that a gateway gets a config, in which order. Pure.

A crash between two writes is just another start:

    1. the Secret, with old and new keys      so that either manifest can be checked
    2. parts 1 and up, with the documents     so that either manifest finds all that it names
       of the old and of the new manifest
    3. part 0 with the new manifest, at once  from here on the new one is in force
    4. parts without what is superfluous      once every replica runs the new one

An object that is as it should be is not written. Content that did not change keeps its revision.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.contract import parts, revisions
from ostiary_core.contract.bundle import Bundle, stamp, with_head
from ostiary_core.contract.manifest import Manifest
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.delivery import live, objects, reader
from ostiary_operator.delivery.secret import Keys
from ostiary_operator.kube import names
from ostiary_operator.kube.client import Object, name_of
from ostiary_operator.kube.kinds import CONFIG_MAP, SECRET, Kind

#: What a ConfigMap holds at most, with room for its names; the API server's own bound is 1 MiB.
_MAX_CONTENT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Current:
    """What lies at a gateway now."""

    config_maps: Mapping[int, Object] = field(default_factory=dict)
    secret: Object | None = None
    manifest: Manifest | None = None
    """Only if it is ours."""


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

    ``steps`` follow each other; the writes of one step may go side by side. ``superfluous`` is set where something
    waits to be pruned.
    """

    steps: tuple[tuple[Write, ...], ...]
    manifest: Manifest
    prunable: bool

    @property
    def writes(self) -> tuple[Write, ...]:
        """All writes."""
        return tuple(write for step in self.steps for write in step)


def stamped(bundle: Bundle, current: Manifest | None, keys: Keys, *, now: float, floor: int) -> Bundle:
    """Return the bundle with the manifest to put in force: the current one if it says the same, else a new revision.

    ``floor`` is the highest revision ever given out, as far as we know; ``now`` is in epoch seconds.
    """
    key_name, key = keys.signing(now)
    if current is not None and _may_stay(current, bundle, key_name=key_name, now=now):
        return with_head(current, bundle.files, key_name=key_name, key=key.reveal())
    known = (floor, current.revision if current is not None else 0)
    return stamp(bundle, revision=revisions.following(*known, now=now), key_name=key_name, key=key.reveal())


def _may_stay(current: Manifest, bundle: Bundle, *, key_name: str, now: float) -> bool:
    """Say whether the current manifest says what is to be in force, and gateways take it."""
    return (
        current.same_content(bundle.manifest)
        and current.mac is not None
        and current.mac.key == key_name
        and not revisions.is_absurd(current.revision, now=now)
    )


def make_plan(gateway: DiscoveredGateway, bundle: Bundle, keys: Keys, current: Current, *, acknowledged: bool) -> Plan:
    """Compare what should be there with what is.

    ``bundle`` is stamped. ``acknowledged`` says that every ready replica runs the manifest in force.
    """
    contents = _contents(bundle, current, prune=acknowledged and bundle.manifest == current.manifest)
    first, *others = [_part_write(gateway, number, contents[number], current) for number in sorted(contents)]
    steps = ([_secret_write(gateway, keys, current)], others, [first])
    exact = dict(enumerate(bundle.files))
    return Plan(
        steps=tuple(
            tuple(write for write in step if not objects.is_as_wanted(write.body, write.live)) for step in steps
        ),
        manifest=bundle.manifest,
        prunable=any(files != exact.get(number, {}) for number, files in contents.items() if number),
    )


def _secret_write(gateway: DiscoveredGateway, keys: Keys, current: Current) -> Write:
    body = objects.secret(gateway, keys, replaces=current.secret)
    return Write(SECRET, body, names.SECRET_MANAGER, current.secret)


def _part_write(gateway: DiscoveredGateway, number: int, files: Mapping[str, bytes], current: Current) -> Write:
    old = current.config_maps.get(number)
    return Write(CONFIG_MAP, objects.config_map(gateway, number, files, replaces=old), names.CONFIG_MANAGER, old)


def _contents(bundle: Bundle, current: Current, *, prune: bool) -> dict[int, Mapping[str, bytes]]:
    """Return the files of every part that should be, or is, there."""
    contents: dict[int, Mapping[str, bytes]] = dict(enumerate(bundle.files))
    contents[0] = {**bundle.head, **bundle.files[0]}
    files = {number: live.files_of(obj) for number, obj in current.config_maps.items()}
    # A part that lies there as it should be holds nothing else, and need not be read: of many parts few change.
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
    return contents


def _still_needed(
    new: Manifest, current: Manifest | None, present: Mapping[int, Mapping[str, bytes]]
) -> Collection[str]:
    """Return the digests that replicas may still need: of the manifest that is replaced, or of those before it.

    ``lying`` are the documents of the parts that change. An entry in another part is in the new manifest too, and so is
    all that it names.
    """
    if current is None:
        return set()
    documents = {key: document for found in present.values() for key, document in found.items()}
    # The same manifest again: what lies there beyond it was left for replicas that had not taken it over.
    return set(documents) if new == current else reader.needed(current, documents)


def _joined(number: int, new: Mapping[str, bytes], kept: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return one file with the documents of both, unless that is too much or adds nothing."""
    if not kept:
        return new
    documents = reader.documents_of(new, number)
    if kept.keys() <= documents.keys():
        return new
    lines = parts.fold({**kept, **documents})
    if new and len(lines) > len(parts.fold(documents)) + parts.SPARE_BYTES:
        return new  # gateways would not unfold it
    name, content = parts.pack(number, lines)
    return {name: content} if len(content) <= _MAX_CONTENT else new


def what(write: Write) -> str:
    """Name a write for people."""
    return f"{write.kind.name} {name_of(write.body)}"
