"""A whole config put together for the way, and taken apart on arrival. Same bytes, same code, in both planes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ostiary_core.canonical import digest
from ostiary_core.contract import mac, manifest_files, parts
from ostiary_core.contract.documents import EntryDocument, PolicyDocument, SettingsDocument
from ostiary_core.contract.manifest import EntryReference, GatewayIdentity, Manifest, parse_manifest
from ostiary_core.contract.parts import Packer
from ostiary_core.errors import ContractError


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """What the compiler says of one gateway: typed documents, not yet stamped, signed or spread over parts."""

    gateway: GatewayIdentity
    settings: SettingsDocument
    entries: Mapping[str, EntryDocument] = field(default_factory=dict)
    policies: Mapping[str, PolicyDocument] = field(default_factory=dict)
    """Policies by digest, exactly those that entries name."""
    written: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    """Canonical texts that are at hand: of entries by proxy, of policies by digest. They need not be written again."""

    def text_of(self, key: str, document: EntryDocument | PolicyDocument) -> bytes:
        """Return the canonical text of a document of this config."""
        known = self.written.get(key)
        return known if known is not None else document.canonical()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A manifest and the files of its parts, by file name, one dict per part."""

    manifest: Manifest
    files: list[dict[str, bytes]]


def fold_config(config: GatewayConfig, *, revision: int = 0, packer: Packer | None = None) -> Bundle:
    """Serialise a config into an unsigned bundle. A ``packer`` makes it fast and changes nothing else.

    Raises:
        ContractError: it is too large to travel.
    """
    memory = packer if packer is not None else Packer()
    settings = config.settings.canonical()
    head = digest(settings)
    documents, owners, digests = {head: settings}, {head: "settings"}, {}
    for proxy, entry in config.entries.items():
        text = config.text_of(proxy, entry)
        digests[proxy] = digest(text)
        documents[digests[proxy]], owners[digests[proxy]] = text, proxy
    for name, policy in config.policies.items():
        text = config.text_of(name, policy)
        key = name if name in config.written else digest(text)
        documents[key], owners[key] = text, policy.identity
    lines = parts.spread(documents, owners, head=head, packer=memory)
    manifest = Manifest(
        gateway=config.gateway,
        revision=revision,
        settings=head,
        parts=[digest(part) for part in lines],
        entries=[
            EntryReference(proxy=key, uid=config.entries[key].uid, digest=digests[key]) for key in sorted(digests)
        ],
    )
    files = [dict([memory.pack(number, part)]) for number, part in enumerate(lines)]
    memory.turn()
    return Bundle(manifest, files)


def stamp(bundle: Bundle, *, revision: int, key_name: str, key: bytes) -> Bundle:
    """Return the bundle with its revision and MAC."""
    manifest = bundle.manifest.model_copy(update={"revision": revision})
    return Bundle(mac.sign(manifest, key_name=key_name, key=key), bundle.files)


def manifest_file(bundle: Bundle) -> bytes:
    """Return the manifest's text."""
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


def open_manifest(files: Mapping[str, bytes], keys: Mapping[str, bytes], *, gateway: str | None = None) -> Manifest:
    """Read the manifest among the files of a config directory, and check who wrote it for whom.

    ``keys`` are the gateway's MAC keys by name; ``gateway``, if known, is the identity that the config must be for.

    Raises:
        ContractError: no manifest, a MAC that does not fit, or another gateway's config.
    """
    manifest = parse_manifest(manifest_files.read(files))
    mac.verify(manifest, keys)
    if gateway is not None and manifest.gateway.identity != gateway:
        raise ContractError(f"the config is for gateway {manifest.gateway.identity}, and this is {gateway}")
    return manifest


def open_parts(manifest: Manifest, files: Mapping[str, bytes]) -> OpenedBundle:
    """Take apart the parts of a verified manifest, whatever else lies there.

    Raises:
        ContractError: a part is broken.
    """
    return OpenedBundle(manifest, dict(_documents(files, range(len(manifest.parts)))))


def open_files(files: Mapping[str, bytes], keys: Mapping[str, bytes], *, gateway: str | None = None) -> OpenedBundle:
    """Open manifest and parts, as :func:`open_manifest` and :func:`open_parts` do.

    Raises:
        ContractError: either cannot be opened.
    """
    return open_parts(open_manifest(files, keys, gateway=gateway), files)


def _documents(files: Mapping[str, bytes], numbers: Iterable[int]) -> Iterable[tuple[str, bytes]]:
    for number in numbers:
        for compressed in (False, True):
            name = parts.file_name(number, compressed=compressed)
            if name in files:
                yield from parts.unfold(name, parts.unpack(name, files[name]))
