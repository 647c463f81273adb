"""Reads Secrets with credentials, apart for the two that need them.

The compiler gets :class:`CredentialSecret`, which has no value. Delivery gets the values, by the names that the
compiler puts into documents.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.contract.key_names import credential_name
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api import labels
from ostiary_operator.api.objects import (
    ReadOnlyObject,
    decoded,
    mapping_of,
    name_or_empty,
    namespace_or_default,
    text_of,
)
from ostiary_operator.compile.model import CredentialSecret, Missing, ReferenceKey

#: The most bytes of one value: servers accept heads of 8 to 16 KiB, and a gateway's Secret has room for 1 MiB.
MAX_BYTES: Final = 4096
#: The most values of one Secret that are read.
_MOST_VALUES: Final = 64
_SENDABLE: Final = re.compile(rb"[!-~]([ -~]*[!-~])?")
#: The work factor of the version of a Secret in a file, whose name must not reveal its values.
_WORK: Final = 1 << 12


@dataclass(frozen=True, slots=True)
class ReadCredentials:
    """The Secrets that were read, and their values by name."""

    secrets: Mapping[ReferenceKey, CredentialSecret | Missing] = field(default_factory=dict)
    values: Mapping[str, SecretBytes] = field(default_factory=dict, repr=False)


def read_credentials(objects: Iterable[ReadOnlyObject], *, wanted: Iterable[ReferenceKey]) -> ReadCredentials:
    """Read the wanted Secrets among these objects."""
    found = {
        ReferenceKey(str(item.get("kind")), namespace_or_default(item), name_or_empty(item)): item for item in objects
    }
    secrets: dict[ReferenceKey, CredentialSecret | Missing] = {}
    values: dict[str, SecretBytes] = {}
    for key in wanted:
        secrets[key], more = read_secret(found[key]) if key in found else (Missing.NOT_FOUND, {})
        values.update(more)
    return ReadCredentials(secrets, values)


def read_secret(item: ReadOnlyObject) -> tuple[CredentialSecret | Missing, Mapping[str, SecretBytes]]:
    """Return what the compiler may know of a Secret, and its values by name.

    A Secret needs the label by which its owner permits it. Resources never refer to the operator's own Secrets.
    """
    if labels.USAGE not in labels.of(item) or labels.CONFIG in labels.of(item):
        return Missing.NOT_LABELLED, {}
    if labels.of(item)[labels.USAGE] == labels.API_KEY_USAGE:
        return Missing.API_KEYS, {}
    names, defects, values = {}, {}, {}
    for key, value in sorted(_values(item))[:_MOST_VALUES]:
        defect = _defect(value)
        if defect:
            defects[key] = defect
            continue
        names[key] = _name(item, key, value)
        values[names[key]] = SecretBytes(value)
    return CredentialSecret(_uid(item), names, defects, _hosts(item)), values


def _values(item: ReadOnlyObject) -> Iterator[tuple[str, bytes]]:
    """Yield the values without white space around them: files and `echo` end in a line break."""
    plain = mapping_of(item.get("stringData"))
    for key, text in mapping_of(item.get("data")).items():
        if key not in plain and isinstance(text, str):
            value = decoded(text)
            yield str(key), value.strip() if value is not None else b"\0"
    for key, text in plain.items():
        yield str(key), str(text).strip().encode("utf-8", "replace")


def _defect(value: bytes) -> str:
    if not value:
        return "is empty; write the credential into it"
    if len(value) > MAX_BYTES:
        return f"has more than {MAX_BYTES} bytes; write the credential alone into it"
    if _SENDABLE.fullmatch(value) is None:
        return "has characters that are not printable ASCII, or is not base64; write it as one line of text"
    return ""


def _hosts(item: ReadOnlyObject) -> frozenset[str]:
    found = labels.annotations_of(item).get(labels.HOSTS, "").lower().split(",")
    return frozenset(host.strip() for host in found if host.strip())


def _uid(item: ReadOnlyObject) -> str:
    """Return the uid of a Secret; one in a file has none, so its name is hashed."""
    return text_of(item, "uid") or hashlib.sha256(_place(item).encode()).hexdigest()[:32]


def _name(item: ReadOnlyObject, key: str, value: bytes) -> str:
    """Return the immutable name of a value.

    A Secret in a file has no version, so its content is one.
    """
    version = text_of(item, "resourceVersion")
    if not version:
        version = hashlib.scrypt(value, salt=_place(item).encode(), n=_WORK, r=8, p=1, dklen=16).hex()
    return credential_name(uid=_uid(item), version=version, key=key)


def _place(item: ReadOnlyObject) -> str:
    return f"{namespace_or_default(item)}/{name_or_empty(item)}"
