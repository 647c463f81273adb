"""The manifest as files: readable while it is small, compressed and sealed beyond that.

    manifest.json        the manifest; where it is large, only the word that it is compressed
    manifest.json.gz     then the manifest itself
    manifest.seal.json   and a MAC over those bytes with the size that they unfold to, judged before they are unfolded

What stands in ``manifest.json`` decides. A reader that knows the first form only finds a version there that it does not
know, says so, and keeps what it has. Operators from before the seal write none: what is then unfolded is bounded.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from ostiary_core.canonical import canonical
from ostiary_core.contract import mac, packing
from ostiary_core.contract.documents import ContractDocument, Count
from ostiary_core.contract.manifest import Mac
from ostiary_core.contract.parts import COMPRESS_ABOVE, MANIFEST_FILE
from ostiary_core.contract.unreadable import unreadable
from ostiary_core.errors import ContractError

PACKED_FILE: Final = "manifest.json.gz"
SEAL_FILE: Final = "manifest.seal.json"
#: The version of a contract whose manifest is compressed; it is that of the manifest itself otherwise.
PACKED_VERSION: Final = "ostiary.dev/config/v1+gzip"
_POINTER: Final = canonical({"version": PACKED_VERSION})
#: Part 0 holds the manifest, and a ConfigMap 1 MiB in all.
MAX_PACKED_BYTES: Final = 900 * 1024
#: What a manifest may unfold to. Digests and uids hardly shrink, so that the bound above is met long before.
MAX_UNFOLDED_BYTES: Final = 8 * 1024 * 1024

#: What a seal may take: a size, the name of a key, and a MAC.
MAX_SEAL_BYTES: Final = 1024


class Seal(ContractDocument):
    """Proof of who compressed a manifest, and its size when it is unfolded, in bytes."""

    unfolded: Count
    mac: Mac

    def covered(self, packed: bytes) -> bytes:
        """Return the bytes that the MAC covers."""
        return b"%d\n%b" % (self.unfolded, packed)


def write(manifest: bytes, *, key_name: str, key: bytes) -> dict[str, bytes]:
    """Return the files of a manifest, sealed with a key of the Secret; equal manifests give equal bytes.

    Raises:
        ContractError: it is too large to travel.
    """
    if len(manifest) <= COMPRESS_ABOVE:
        return {MANIFEST_FILE: manifest}
    packed = packing.compress(manifest)
    if len(packed) > MAX_PACKED_BYTES or len(manifest) > MAX_UNFOLDED_BYTES:
        raise ContractError(
            f"the manifest takes {len(packed)} bytes of the {MAX_PACKED_BYTES} that it may: the gateway has too many "
            "proxies; divide them among several gateways"
        )
    return {MANIFEST_FILE: _POINTER, PACKED_FILE: packed, SEAL_FILE: _seal(packed, len(manifest), key_name, key)}


def read(files: Mapping[str, bytes], keys: Mapping[str, bytes] | None) -> bytes:
    """Return the text of the manifest among the files of a config; whether it may be believed its own MAC says.

    ``keys`` are the MAC keys by name; None, for who may not read them, leaves the seal unchecked.

    Raises:
        ContractError: it is not there, or not gzip where it should be, or its seal does not fit, or it unfolds beyond
            all bounds.
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
    return b"".join(packing.unfolded(PACKED_FILE, packed, limit=limit))


def _seal(packed: bytes, unfolded: int, key_name: str, key: bytes) -> bytes:
    blank = Seal(unfolded=unfolded, mac=Mac(key=key_name, value=""))
    value = mac.value_of(blank.covered(packed), key, domain=mac.SEAL_DOMAIN)
    return Seal(unfolded=unfolded, mac=Mac(key=key_name, value=value)).canonical()


def _unsealed(text: bytes, packed: bytes, keys: Mapping[str, bytes]) -> int:
    """Return what the compressed manifest unfolds to, by the word of who knew a key."""
    if len(text) > MAX_SEAL_BYTES:
        raise ContractError(f"{SEAL_FILE}: it is larger than the {MAX_SEAL_BYTES} bytes that a seal may take")
    try:
        seal = Seal.model_validate_json(text)
    except ValidationError as error:
        raise unreadable("manifest seal", error) from None
    mac.check(seal.mac, seal.covered(packed), keys, what="manifest seal", domain=mac.SEAL_DOMAIN)
    return seal.unfolded
