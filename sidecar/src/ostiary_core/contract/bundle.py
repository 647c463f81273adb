"""Write a whole config as files, and read it again.

Both planes use this code, so the bytes are the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.canonical import digest
from ostiary_core.contract import change_trace, mac, manifest_files, parts
from ostiary_core.contract.documents import EntryDocument, PolicyDocument, SettingsDocument
from ostiary_core.contract.manifest import EntryReference, GatewayIdentity, Manifest, parse_manifest
from ostiary_core.contract.parts import Packer
from ostiary_core.errors import ContractError


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """A gateway's compiled config: typed documents, without revision, MAC and parts."""

    gateway: GatewayIdentity
    settings: SettingsDocument
    entries: Mapping[str, EntryDocument] = field(default_factory=dict)
    policies: Mapping[str, PolicyDocument] = field(default_factory=dict)
    """Policies by digest, exactly those that entries name."""
    written: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    """Canonical texts that exist already, of entries by proxy and of policies by digest; they need no serialisation."""

    def text_of(self, key: str, document: EntryDocument | PolicyDocument) -> bytes:
        """Return the canonical text of a document of this config."""
        known = self.written.get(key)
        return known if known is not None else document.canonical()

    def secrets(self) -> frozenset[str]:
        """Return the names of all credentials in the gateway's Secret that the documents need."""
        of_entries = (name for entry in self.entries.values() for name in entry.secrets)
        of_policies = (name for policy in self.policies.values() for name in policy.secrets)
        return frozenset(of_entries).union(of_policies, self.settings.secrets)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A manifest and the files of its parts, by file name, one dict per part.

    ``head`` are the files of the manifest itself, once it is signed.
    """

    manifest: Manifest
    files: list[dict[str, bytes]]
    head: Mapping[str, bytes] = field(default_factory=dict)


#: The limit for decompressing all parts together where the manifest, of an earlier operator, does not give their sizes.
_MAX_UNDECLARED_BYTES: Final = 64 * 1024 * 1024

_NAMES: Final = frozenset(
    {
        *(parts.MANIFEST_FILE, manifest_files.PACKED_FILE, manifest_files.SEAL_FILE, change_trace.TRACE_FILE),
        *(name for number in range(parts.MAX_PARTS) for name in parts.file_names(number)),
    }
)


def fold_config(config: GatewayConfig, *, revision: int = 0, packer: Packer | None = None) -> Bundle:
    """Serialise a config into an unsigned bundle. A ``packer`` only makes it faster.

    Raises:
        ContractError: it is too large to transport.
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
        sizes=_sizes(lines),
        entries=[
            EntryReference(proxy=key, uid=config.entries[key].uid, digest=digests[key]) for key in sorted(digests)
        ],
    )
    files = [dict([memory.pack(number, part)]) for number, part in enumerate(lines)]
    memory.end_config()
    return Bundle(manifest, files)


def _sizes(lines: Sequence[bytes]) -> list[int] | None:
    sizes = [len(part) for part in lines]
    return sizes if any(size > parts.COMPRESS_ABOVE for size in sizes) else None


def stamp(bundle: Bundle, *, revision: int, key_name: str, key: bytes) -> Bundle:
    """Return the bundle with its revision and MAC.

    Raises:
        ContractError: the manifest is too large to transport.
    """
    manifest = bundle.manifest.model_copy(update={"revision": revision})
    return with_head(mac.sign(manifest, key_name=key_name, key=key), bundle.files, key_name=key_name, key=key)


def with_head(manifest: Manifest, files: list[dict[str, bytes]], *, key_name: str, key: bytes) -> Bundle:
    """Return a signed manifest with the files of its parts and its own.

    Raises:
        ContractError: the manifest is too large to transport.
    """
    return Bundle(manifest, files, manifest_files.write(manifest.canonical(), key_name=key_name, key=key))


def manifest_file(bundle: Bundle) -> bytes:
    """Return the manifest's text."""
    return bundle.manifest.canonical()


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """A verified manifest and the raw documents by digest.

    A document is checked when it is taken.
    """

    manifest: Manifest
    documents: Mapping[str, bytes]

    def take(self, key: str) -> bytes:
        """Return a document after comparing its content with its digest.

        Raises:
            ContractError: it is missing or altered.
        """
        document = self.documents.get(key)
        if document is None:
            raise ContractError(f"document {key[:12]}… is named by the manifest but in none of its parts")
        parts.check(key, document)
        return document


def open_manifest(files: Mapping[str, bytes], keys: Mapping[str, bytes], *, gateway: str | None = None) -> Manifest:
    """Read the manifest among a config's files, and check its author and its gateway.

    ``keys`` are the gateway's MAC keys by name; ``gateway``, if known, is the identity that the config must be for.

    Raises:
        ContractError: there is no manifest, its MAC does not match, or it is another gateway's.
    """
    text = manifest_files.read(files, keys)
    mac.prove(text, keys)
    manifest = parse_manifest(text)
    mac.verify(manifest, keys)
    if gateway is not None and manifest.gateway.identity != gateway:
        raise ContractError(f"the config is for gateway {manifest.gateway.identity}, and this is {gateway}")
    return manifest


def open_parts(manifest: Manifest, files: Mapping[str, bytes]) -> OpenedBundle:
    """Read the parts of a verified manifest.

    Other files are ignored, and no more is decompressed than the manifest allows.

    Raises:
        ContractError: a part is broken, or larger than it may be.
    """
    documents: dict[str, bytes] = {}
    sizes, left = manifest.sizes or (), _MAX_UNDECLARED_BYTES
    for number in range(len(manifest.parts)):
        size = sizes[number] if number < len(sizes) else None
        limit = min(left, parts.MAX_UNFOLDED_BYTES) if size is None else size + parts.SPARE_BYTES
        found = _part(files, number, manifest.parts[number], limit=limit)
        left -= sum(map(len, found.values())) if size is None else 0
        documents |= found
    return OpenedBundle(manifest, documents)


def open_files(files: Mapping[str, bytes], keys: Mapping[str, bytes], *, gateway: str | None = None) -> OpenedBundle:
    """Open manifest and parts, as :func:`open_manifest` and :func:`open_parts` do.

    Raises:
        ContractError: either cannot be opened.
    """
    return open_parts(open_manifest(files, keys, gateway=gateway), files)


def _part(files: Mapping[str, bytes], number: int, wanted: str, *, limit: int) -> Mapping[str, bytes]:
    """Return the documents of a part.

    They are read from the file that is exactly it, or else from any file with one of its names.

    During a rollout a part also holds documents of the previous config, so perhaps no file is exactly the wanted one;
    each document is compared with its digest when it is used.

    Raises:
        ContractError: no file is exactly it, and one of them is invalid.
    """
    found: dict[str, bytes] = {}
    broken: ContractError | None = None
    for name in parts.file_names(number):
        try:
            part = parts.read(name, files[name], limit=limit) if name in files else parts.Part("", {})
        except ContractError as error:
            broken = broken or error
            continue
        if part.digest == wanted:
            return part.documents
        found |= part.documents
    if broken is not None:
        raise broken
    return found


def is_of_a_config(name: str) -> bool:
    """Return whether a file of this name may belong to a config. Other files need not be read."""
    return name in _NAMES
