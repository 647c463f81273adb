"""The names of the keys in a gateway's Secret, and such names where no key belongs.

    mac-<activation>        signs manifests from that time on (epoch seconds)
    session-<activation>    seals session ids from that time on, and opens them for as long as it exists
    assertion-<activation>  signs identity assertions from that time on; its public part is published while it exists
    audit-<activation>      signs the checkpoints of audit trails from that time on, and keys the digests in them
    content-<activation>    makes hashes and tokens for masks from that time on, and opens tokens while it exists
    admin-token             the bearer token of the gateway's admin port
    evidence-token          the bearer token of ``/evidence`` on that port, and of nothing else there
    credential-<uid>-<version>-<key>
                            the copy of one value of a user's Secret: its uid, its resourceVersion, and the SHA-256 of
                            the key in its data. The value behind such a name never changes.

Keys come only from the Secret. Anyone who may write a ConfigMap chooses the names in it, so there a name proves
nothing.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

MAC_PREFIX: Final = "mac-"
SESSION_PREFIX: Final = "session-"
ASSERTION_PREFIX: Final = "assertion-"
AUDIT_PREFIX: Final = "audit-"
CONTENT_PREFIX: Final = "content-"
CREDENTIAL_PREFIX: Final = "credential-"
ADMIN_TOKEN: Final = "admin-token"  # noqa: S105  the name of a key, not a token
EVIDENCE_TOKEN: Final = "evidence-token"  # noqa: S105  likewise

#: What API keys made by `ostiary key create` start with, so that scanners for leaked secrets recognise them.
API_KEY_PREFIX: Final = "ostiary_"

#: The directory of the keys within that of the config, unless configured elsewhere. No ConfigMap can create one.
FOLDER: Final = "keys"

#: The number of names in a message.
_NAMED: Final = 5


def secret_name(gateway: str) -> str:
    """Return the name of the Secret with a gateway's keys."""
    return f"ostiary-{gateway}"


def evidence_secret_name(gateway: str) -> str:
    """Return the name of the Secret that holds the bearer of evidence, and nothing else.

    Names of gateways have no dot, so it is never the name of another gateway's keys.
    """
    return f"ostiary-{gateway}.evidence"


def is_key(name: str) -> bool:
    """Return whether this is the name of a key."""
    prefixes = (MAC_PREFIX, SESSION_PREFIX, ASSERTION_PREFIX, AUDIT_PREFIX, CONTENT_PREFIX, CREDENTIAL_PREFIX)
    return name.startswith(prefixes) or name in {ADMIN_TOKEN, EVIDENCE_TOKEN}


def credential_name(*, uid: str, version: str, key: str) -> str:
    """Return the immutable name of the value under ``key`` in one version of a user's Secret."""
    return f"{CREDENTIAL_PREFIX}{uid}-{version}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def uid_of(credential: str) -> str:
    """Return the uid of the Secret that a credential was copied from, by the credential's name."""
    return credential.removeprefix(CREDENTIAL_PREFIX).rsplit("-", 2)[0]


def is_credential(name: str) -> bool:
    """Return whether this is the name of a credential."""
    return name.startswith(CREDENTIAL_PREFIX)


def misplaced(config_files: Iterable[str]) -> tuple[str, ...]:
    """Return, sorted, the names of keys among a config's files, where no key belongs."""
    return tuple(sorted(filter(is_key, config_files)))


def first_few(names: tuple[str, ...]) -> str:
    """Return names for a message: the first few of many."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
