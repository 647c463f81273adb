"""Proof that an operator wrote a manifest.

Permission to write a ConfigMap is not permission to write policy.

The key is in the gateway's Secret. Documents need no MAC of their own: the manifest names each by its digest.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from ostiary_core.contract.key_names import MAC_PREFIX
from ostiary_core.contract.manifest import Mac, Manifest
from ostiary_core.errors import ContractError

_DOMAIN: Final = b"ostiary manifest v1\n"
#: Another domain than that of a manifest's own MAC, so that neither MAC can stand for the other.
SEAL_DOMAIN: Final = b"ostiary compressed manifest v1\n"

#: The MAC as it occurs in a manifest's canonical text: never its first member, and never its last.
_MEMBER: Final = re.compile(rb'"mac":\{"key":"([^"\\]{1,253})","value":"([0-9a-f]{64})"\},')
#: A manifest up to this size is parsed even if unproved, to report what is wrong with it.
_UNPROVED_BYTES: Final = 64 * 1024


def sign(manifest: Manifest, *, key_name: str, key: bytes) -> Manifest:
    """Return the manifest with its MAC."""
    return manifest.model_copy(update={"mac": Mac(key=key_name, value=value_of(manifest.signed_bytes(), key))})


def verify(manifest: Manifest, keys: Mapping[str, bytes]) -> None:
    """Check the MAC against the keys of the Secret, by name.

    Raises:
        ContractError: there is no MAC, its key is unknown, or it does not match.
    """
    if manifest.mac is None:
        raise ContractError("manifest: it carries no MAC, so its author is unknown")
    check(manifest.mac, manifest.signed_bytes(), keys, what="manifest")


def prove(text: bytes, keys: Mapping[str, bytes]) -> None:
    """Refuse a large manifest without a valid MAC before any of it is parsed.

    Parsing may cost hundreds of times the size of a text, and anyone who may write a ConfigMap chooses the text. This
    check precedes :func:`verify` and does not replace it: only that one knows where in the text the MAC was.

    Raises:
        ContractError: nothing proves its author.
    """
    if len(text) > _UNPROVED_BYTES and not _is_proved(text, keys):
        raise ContractError("manifest: it carries no MAC of a key that the Secret holds, or one that does not fit")


def _is_proved(text: bytes, keys: Mapping[str, bytes]) -> bool:
    found = _MEMBER.search(text)
    key = keys.get(found[1].decode("utf-8", "replace")) if found is not None else None
    if found is None or key is None:
        return False
    covered = text[: found.start()] + text[found.end() :]
    return hmac.compare_digest(value_of(covered, key).encode(), found[2])


def check(mac: Mac, covered: bytes, keys: Mapping[str, bytes], *, what: str, domain: bytes = _DOMAIN) -> None:
    """Check a MAC over bytes of a domain.

    Raises:
        ContractError: its key is unknown, or it does not match; the message names ``what``.
    """
    key = keys.get(mac.key)
    if key is None or not mac.key.startswith(MAC_PREFIX):
        raise ContractError(f"{what}: its MAC names the key {mac.key[:64]!r}, which the Secret does not hold")
    # As bytes: compare_digest raises TypeError for text beyond ASCII, and anyone may have written the value.
    if not hmac.compare_digest(value_of(covered, key, domain=domain).encode(), mac.value.encode()):
        raise ContractError(f"{what}: its MAC does not fit its content")


def value_of(covered: bytes, key: bytes, *, domain: bytes = _DOMAIN) -> str:
    """Return the MAC over bytes of a domain, as hexadecimal digits."""
    return hmac.new(key, domain + covered, hashlib.sha256).hexdigest()
