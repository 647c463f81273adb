"""Reads CA bundles of resources, and of the ConfigMaps and Secrets that they refer to."""

import re
import ssl
from collections.abc import Iterable, Mapping
from typing import Final

from ostiary_operator.api.reasons import ResolvedRefsReason
from ostiary_operator.api.references import CaCertificateReference
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.credentials import unreadable
from ostiary_operator.compile.model import Missing, ReferenceKey, ResourceRejection

References = Mapping[ReferenceKey, Mapping[str, str] | Missing]

_PEM_LABEL: Final = re.compile(r"-----BEGIN ([^-]*)-----")
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----")


def key_of(reference: CaCertificateReference, namespace: str) -> ReferenceKey:
    """Return the object that a reference names."""
    return ReferenceKey(reference.kind.value, namespace, reference.name)


def resolve_bundles(
    where: str, namespace: str, given: Iterable[CaCertificateReference], references: References, cache: Cache
) -> str | ResourceRejection:
    """Return the certificates of all references of a field as PEM, or why one cannot be used.

    ``where`` is the field for messages, with the resource.
    """
    found = ""
    for index, reference in enumerate(given):
        bundle = _resolve(f"{where}[{index}]", key_of(reference, namespace), reference.key, references, cache)
        if isinstance(bundle, ResourceRejection):
            return bundle
        found += bundle
    return found


def _resolve(
    where: str, key: ReferenceKey, data_key: str, references: References, cache: Cache
) -> str | ResourceRejection:
    where = f"{where}: {key.kind} {key.namespace}/{key.name}"
    data = references.get(key, Missing.NOT_FOUND)
    if isinstance(data, Missing):
        return unreadable(data, where, key)
    if data_key not in data:
        remedy = "add it, or correct the reference's key"
        return ResourceRejection(ResolvedRefsReason.REF_NOT_FOUND, f"{where} has no key {data_key}; {remedy}")
    text = data[data_key]
    bundle, defect = cache.get(("certificates", text), lambda: read_bundle(text))
    if defect:
        return ResourceRejection(ResolvedRefsReason.REF_INVALID, f"{where}: key {data_key} {defect}")
    return bundle


def read_bundle(text: str) -> tuple[str, str]:
    """Return (certificates, "") or ("", the defect).

    Only the certificates are returned: other content of a Secret, above all a private key, must never reach a
    ConfigMap.
    """
    found = _PEM_LABEL.findall(text)
    if not found:
        return "", "holds no certificate; it needs certificates as PEM"
    if set(found) != {"CERTIFICATE"}:
        return "", "holds something other than certificates; leave nothing in it but certificates as PEM"
    blocks = [block.replace("\r", "") for block in _CERTIFICATE.findall(text)]
    # One by one: given all at once, OpenSSL silently stops at the first that it cannot read.
    if len(blocks) != len(found) or not all(map(_loads, blocks)):
        return "", "holds a certificate that cannot be read; it needs certificates as PEM"
    return "".join(f"{block}\n" for block in blocks), ""


def _loads(certificate: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificate)
    except (ssl.SSLError, ValueError):
        return False
    return True
