"""The manifest as files: readable while it is small, compressed beyond that.

    manifest.json       the manifest; where it is large, only the word that it is compressed
    manifest.json.gz    then the manifest itself

What stands in ``manifest.json`` decides. A reader that knows the first form only finds a version there that it does not
know, says so, and keeps what it has.
"""

import zlib
from collections.abc import Mapping
from typing import Final

from ostiary_core.canonical import canonical
from ostiary_core.contract.parts import COMPRESS_ABOVE, MANIFEST_FILE, compress
from ostiary_core.errors import ContractError

PACKED_FILE: Final = "manifest.json.gz"
#: The version of a contract whose manifest is compressed; it is that of the manifest itself otherwise.
PACKED_VERSION: Final = "ostiary.dev/config/v1+gzip"
_POINTER: Final = canonical({"version": PACKED_VERSION})
#: Part 0 holds the manifest, and a ConfigMap 1 MiB in all.
MAX_PACKED_BYTES: Final = 900 * 1024
#: What a reader is willing to unfold: a bound against bombs, far above what a writer makes.
_MAX_UNFOLDED_BYTES: Final = 64 * 1024 * 1024


def write(manifest: bytes) -> dict[str, bytes]:
    """Return the files of a manifest; equal manifests give equal bytes.

    Raises:
        ContractError: it is too large to travel.
    """
    if len(manifest) <= COMPRESS_ABOVE:
        return {MANIFEST_FILE: manifest}
    packed = compress(manifest)
    if len(packed) > MAX_PACKED_BYTES:
        raise ContractError(
            f"the manifest takes {len(packed)} bytes of the {MAX_PACKED_BYTES} that it may: the gateway has too many "
            "proxies; divide them among several gateways"
        )
    return {MANIFEST_FILE: _POINTER, PACKED_FILE: packed}


def read(files: Mapping[str, bytes]) -> bytes:
    """Return the manifest among the files of a config.

    Raises:
        ContractError: it is not there, or not gzip where it should be, or it unfolds beyond all bounds.
    """
    text = files.get(MANIFEST_FILE)
    if text is None:
        raise ContractError(f"there is no {MANIFEST_FILE}")
    if text != _POINTER:
        return text
    if PACKED_FILE not in files:
        raise ContractError(f"there is no {PACKED_FILE}, to which {MANIFEST_FILE} points")
    unfold = zlib.decompressobj(wbits=31)
    try:
        text = unfold.decompress(files[PACKED_FILE], _MAX_UNFOLDED_BYTES)
    except zlib.error as error:
        raise ContractError(f"{PACKED_FILE}: not gzip: {error}") from None
    if unfold.unconsumed_tail or not unfold.eof:
        raise ContractError(f"{PACKED_FILE}: cut off, or larger than {_MAX_UNFOLDED_BYTES} bytes when unfolded")
    return text
