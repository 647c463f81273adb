"""A whole config put together for the way, and taken apart on arrival. Same bytes, same code, in both planes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ostiary_core.canonical import digest
from ostiary_core.contract import mac, parts
from ostiary_core.contract.documents import EntryDocument, PolicyDocument, SettingsDocument
from ostiary_core.contract.manifest import EntryReference, GatewayIdentity, Manifest, parse_manifest
from ostiary_core.errors import ContractError


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """What the compiler says of one gateway: typed documents, not yet stamped, signed or spread over parts."""

    gateway: GatewayIdentity
    settings: SettingsDocument
    entries: Mapping[str, EntryDocument] = field(default_factory=dict)
    policies: Mapping[str, PolicyDocument] = field(default_factory=dict)
    """Policies by digest, exactly those that entries name."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A manifest and the files of its parts, by file name, one dict per part."""

    manifest: Manifest
    files: list[dict[str, bytes]]


def fold_config(config: GatewayConfig, *, revision: int = 0) -> Bundle:
    """Serialise a config into an unsigned bundle.

    Raises:
        ContractError: it is too large to travel.
    """
    settings = config.settings.canonical()
    entries = {key: entry.canonical() for key, entry in config.entries.items()}
    documents = {digest(settings): settings}
    owners = {digest(settings): "settings"}
    for key, text in [*entries.items(), *((p.identity, p.canonical()) for p in config.policies.values())]:
        documents[digest(text)] = text
        owners[digest(text)] = key
    lines = parts.spread(documents, owners)
    references = [
        EntryReference(proxy=key, uid=config.entries[key].uid, digest=digest(entries[key])) for key in sorted(entries)
    ]
    manifest = Manifest(
        gateway=config.gateway,
        revision=revision,
        settings=digest(settings),
        parts=[digest(part) for part in lines],
        entries=references,
    )
    return Bundle(manifest, [dict([parts.pack(number, part)]) for number, part in enumerate(lines)])


def stamp(bundle: Bundle, *, revision: int, key_name: str, key: bytes) -> Bundle:
    """Return the bundle with its revision and MAC."""
    manifest = bundle.manifest.model_copy(update={"revision": revision})
    return Bundle(mac.sign(manifest, key_name=key_name, key=key), bundle.files)


def manifest_file(bundle: Bundle) -> bytes:
    """Return the content of the manifest's file."""
    return bundle.manifest.canonical()


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """A verified manifest and the raw documents by digest; a document is checked when it is taken."""

    manifest: Manifest
    documents: Mapping[str, bytes]

    def take(self, key: str) -> bytes:
        """Return a document whose content has been compared with its digest.

        Raises:
            ContractError: it is missing or altered.
        """
        document = self.documents.get(key)
        if document is None:
            raise ContractError(f"document {key[:12]}… is named by the manifest but in none of its parts")
        parts.check(key, document)
        return document


def open_files(files: Mapping[str, bytes], keys: Mapping[str, bytes], *, gateway: str | None = None) -> OpenedBundle:
    """Take apart the files of a config directory, whatever else lies there.

    ``keys`` are the gateway's MAC keys by name; ``gateway``, if known, is the identity that the config must be for.

    Raises:
        ContractError: no manifest, a MAC that does not fit, another gateway's config, or a broken part.
    """
    text = files.get(parts.MANIFEST_FILE)
    if text is None:
        raise ContractError(f"there is no {parts.MANIFEST_FILE}")
    manifest = parse_manifest(text)
    mac.verify(manifest, keys)
    if gateway is not None and manifest.gateway.identity != gateway:
        raise ContractError(f"the config is for gateway {manifest.gateway.identity}, and this is {gateway}")
    return OpenedBundle(manifest, dict(_documents(files, range(len(manifest.parts)))))


def _documents(files: Mapping[str, bytes], numbers: Iterable[int]) -> Iterable[tuple[str, bytes]]:
    for number in numbers:
        for compressed in (False, True):
            name = parts.file_name(number, compressed=compressed)
            if name in files:
                yield from parts.unfold(name, parts.unpack(name, files[name]))
