"""Proof that an operator wrote a manifest: writing a ConfigMap is not writing policy.

The key lies in the gateway's Secret. Documents need no MAC of their own: the manifest names each by its digest.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from ostiary_core.contract.key_names import MAC_PREFIX
from ostiary_core.contract.manifest import Mac, Manifest
from ostiary_core.errors import ContractError

_DOMAIN: Final = b"ostiary manifest v1\n"


def sign(manifest: Manifest, *, key_name: str, key: bytes) -> Manifest:
    """Return the manifest with its MAC."""
    return manifest.model_copy(update={"mac": Mac(key=key_name, value=_value(manifest, key))})


def verify(manifest: Manifest, keys: Mapping[str, bytes]) -> None:
    """Check the MAC against the keys of the Secret, by name.

    Raises:
        ContractError: no MAC, an unknown key, or a value that does not fit.
    """
    if manifest.mac is None:
        raise ContractError("manifest: it carries no MAC, so nobody can say who wrote it")
    key = keys.get(manifest.mac.key)
    if key is None or not manifest.mac.key.startswith(MAC_PREFIX):
        raise ContractError(
            f"manifest: its MAC names the key {manifest.mac.key[:64]!r}, which the Secret does not hold"
        )
    # As bytes: compare_digest raises TypeError on text beyond ASCII, and the value was written by anybody.
    if not hmac.compare_digest(_value(manifest, key).encode(), manifest.mac.value.encode()):
        raise ContractError("manifest: its MAC does not fit its content")


def _value(manifest: Manifest, key: bytes) -> str:
    return hmac.new(key, _DOMAIN + manifest.signed_bytes(), hashlib.sha256).hexdigest()
