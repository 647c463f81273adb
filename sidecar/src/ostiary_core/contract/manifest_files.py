"""The manifest as files.

A small manifest is readable; a large one is compressed and sealed.

    manifest.json        the manifest; if it is large, only a note that it is compressed
    manifest.json.gz     the compressed manifest
    manifest.seal.json   a MAC over those bytes and their decompressed size, checked before they are decompressed

``manifest.json`` decides which form applies. A reader that knows only the first form finds an unknown version there,
reports it, and keeps its last good config. Older operators write no seal: the decompressed size is then limited.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from ostiary_core.canonical import canonical
from ostiary_core.contract import compression, mac
from ostiary_core.contract.base import ContractDocument, Count
from ostiary_core.contract.manifest import Mac
from ostiary_core.contract.parts import COMPRESS_ABOVE, MANIFEST_FILE
from ostiary_core.contract.read_errors import unreadable
from ostiary_core.errors import ContractError

PACKED_FILE: Final = "manifest.json.gz"
SEAL_FILE: Final = "manifest.seal.json"
#: The version of a contract whose manifest is compressed; otherwise it is that of the manifest itself.
PACKED_VERSION: Final = "ostiary.dev/config/v1+gzip"
_POINTER: Final = canonical({"version": PACKED_VERSION})
#: Part 0 holds the manifest, and a whole ConfigMap at most 1 MiB.
MAX_PACKED_BYTES: Final = 900 * 1024
#: The limit of a decompressed manifest. Digests and uids hardly compress, so the limit above is reached long before.
MAX_UNFOLDED_BYTES: Final = 8 * 1024 * 1024

#: The limit of a seal: a size, the name of a key, and a MAC.
MAX_SEAL_BYTES: Final = 1024


class Seal(ContractDocument):
    """Proof of who compressed a manifest, with its decompressed size in bytes."""

    unfolded: Count
    mac: Mac

    def covered(self, packed: bytes) -> bytes:
        """Return the bytes that the MAC covers."""
        return b"%d\n%b" % (self.unfolded, packed)


def write(manifest: bytes, *, key_name: str, key: bytes) -> dict[str, bytes]:
    """Return the files of a manifest, sealed with a key of the Secret.

    Equal manifests give equal bytes.

    Raises:
        ContractError: it is too large to transport.
    """
    if len(manifest) <= COMPRESS_ABOVE:
        return {MANIFEST_FILE: manifest}
    packed = compression.compress(manifest)
    if len(packed) > MAX_PACKED_BYTES or len(manifest) > MAX_UNFOLDED_BYTES:
        raise ContractError(
            f"the manifest takes {len(packed)} bytes of the {MAX_PACKED_BYTES} that it may: the gateway has too many "
            "proxies; divide them among several gateways"
        )
    return {MANIFEST_FILE: _POINTER, PACKED_FILE: packed, SEAL_FILE: _seal(packed, len(manifest), key_name, key)}


def read(files: Mapping[str, bytes], keys: Mapping[str, bytes] | None) -> bytes:
    """Return the text of the manifest among the files of a config.

    Its own MAC is not checked here.

    ``keys`` are the MAC keys by name; None, for a reader without access to them, skips the check of the seal.

    Raises:
        ContractError: it is missing, or is not gzip where it should be, or its seal does not match, or it exceeds a
            limit when decompressed.
    """
    text = files.get(MANIFEST_FILE)
    if text is None:
        raise ContractError(f"there is no {MANIFEST_FILE}")
    if text != _POINTER:
        return text
    packed = files.get(PACKED_FILE)
    if packed is None:
        raise ContractError(f"there is no {PACKED_FILE}, to which {MANIFEST_FILE} points")
    limit = MAX_UNFOLDED_BYTES
    if keys is not None and SEAL_FILE in files:
        limit = min(limit, _unsealed(files[SEAL_FILE], packed, keys))
    return b"".join(compression.decompressed(PACKED_FILE, packed, limit=limit))


def _seal(packed: bytes, unfolded: int, key_name: str, key: bytes) -> bytes:
    blank = Seal(unfolded=unfolded, mac=Mac(key=key_name, value=""))
    value = mac.value_of(blank.covered(packed), key, domain=mac.SEAL_DOMAIN)
    return Seal(unfolded=unfolded, mac=Mac(key=key_name, value=value)).canonical()


def _unsealed(text: bytes, packed: bytes, keys: Mapping[str, bytes]) -> int:
    """Return the decompressed size of the compressed manifest from a seal with a valid MAC."""
    if len(text) > MAX_SEAL_BYTES:
        raise ContractError(f"{SEAL_FILE}: it is larger than the {MAX_SEAL_BYTES} bytes that a seal may take")
    try:
        seal = Seal.model_validate_json(text)
    except ValidationError as error:
        raise unreadable("manifest seal", error) from None
    mac.check(seal.mac, seal.covered(packed), keys, what="manifest seal", domain=mac.SEAL_DOMAIN)
    return seal.unfolded
