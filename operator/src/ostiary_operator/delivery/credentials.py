"""Chooses the credentials in a gateway's Secret. Pure.

The compiler only names them. Their values come from users' Secrets; of a Secret that is gone the value stays that was
delivered before, for as long as a config names it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from ostiary_core.secret_bytes import SecretBytes

Credentials = Mapping[str, SecretBytes]
"""Values by their immutable names (:func:`ostiary_core.contract.key_names.credential_name`)."""

#: The most bytes of credentials in a gateway's Secret; the API server's limit is 1 MiB for the whole object.
_MAX_BYTES: Final = 700_000


def needed(names: Iterable[str], *, supplied: Credentials, delivered: Credentials) -> dict[str, SecretBytes]:
    """Return the values of these names; omit names whose value is not known.

    A gateway keeps the last good version of a proxy whose credential it does not have.
    """
    found = {name: supplied.get(name) or delivered.get(name) for name in sorted(names)}
    return {name: value for name, value in found.items() if value is not None}


def named_in(documents: Iterable[bytes], delivered: Credentials) -> dict[str, SecretBytes]:
    """Return the delivered credentials that a document names."""
    texts = list(documents)
    return {name: value for name, value in delivered.items() if any(name.encode() in text for text in texts)}


def with_earlier(wanted: Credentials, earlier: Credentials) -> dict[str, SecretBytes]:
    """Return the wanted credentials and earlier ones, as many as have room in a Secret.

    Small ones come first, so that no tenant can crowd out others by large ones. Earlier ones come last.
    """
    rest = {name: value for name, value in earlier.items() if name not in wanted}
    found: dict[str, SecretBytes] = {}
    room = _MAX_BYTES
    for group in (wanted, rest):
        for name, value in sorted(group.items(), key=lambda each: (len(each[1]), each[0])):
            room -= len(value) + len(name)
            if room < 0:
                return found
            found[name] = value
    return found
