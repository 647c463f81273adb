"""The gateway's keys and credentials from its Secret.

A key's name says what it is for (``ostiary_core.contract.key_names``).

A key is created before it becomes active, so that every replica has it when the first replica seals with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.contract.key_names import (
    ADMIN_TOKEN,
    ASSERTION_PREFIX,
    AUDIT_PREFIX,
    CONTENT_PREFIX,
    EVIDENCE_TOKEN,
    MAC_PREFIX,
    SESSION_PREFIX,
    is_credential,
)
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import CredentialMissing

_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by purpose. Never printed: its representation holds no key."""

    mac: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    sessions: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    admin_tokens: frozenset[bytes] = field(default_factory=frozenset, repr=False)
    credentials: Mapping[str, SecretBytes] = field(default_factory=dict, repr=False)
    """What the gateway sends to other servers, by the immutable names that documents use."""
    assertions: Mapping[int, SecretBytes] = field(default_factory=dict, repr=False)
    """What identity assertions are signed with, by the time of activation."""
    audit: Mapping[int, SecretBytes] = field(default_factory=dict, repr=False)
    """What keys of audit trails are derived from, by the time of activation."""
    content: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    """What hashes and tokens of masks are made with, by the time of activation."""
    evidence_tokens: frozenset[bytes] = field(default_factory=frozenset, repr=False)
    """The bearers of evidence, which open nothing else."""

    @classmethod
    def from_secret(cls, files: Mapping[str, bytes]) -> "Keyring":
        """Select the keys among the Secret's files by name.

        Ignore files with another name or a wrong length.
        """
        sessions = _by_activation(files, SESSION_PREFIX)
        mac = {n: v for n, v in files.items() if n.startswith(MAC_PREFIX) and len(v) >= _KEY_BYTES}
        admin, evidence = (_token(files, name) for name in (ADMIN_TOKEN, EVIDENCE_TOKEN))
        credentials = {n: SecretBytes(v) for n, v in files.items() if is_credential(n) and v}
        assertions, audit = _seeds(files, ASSERTION_PREFIX), _seeds(files, AUDIT_PREFIX)
        content = _by_activation(files, CONTENT_PREFIX)
        return cls(mac, sessions, admin, credentials, assertions, audit, content, evidence)

    def credential(self, name: str) -> SecretBytes:
        """Return the credential that a document names.

        Raises:
            CredentialMissing: the Secret does not have it.
        """
        found = self.credentials.get(name)
        if found is None:
            raise CredentialMissing(f"the credential {name} is not in the gateway's Secret yet")
        return found

    @property
    def empty(self) -> bool:
        """Whether there is no key at all, for example because the Secret does not exist."""
        return not (self.mac or self.sessions or self.admin_tokens)

    def joined(self, other: "Keyring") -> "Keyring":
        """Return the keys of both keyrings."""
        return Keyring(
            {**self.mac, **other.mac},
            {**self.sessions, **other.sessions},
            self.admin_tokens | other.admin_tokens,
            {**self.credentials, **other.credentials},
            {**self.assertions, **other.assertions},
            {**self.audit, **other.audit},
            {**self.content, **other.content},
            self.evidence_tokens | other.evidence_tokens,
        )


def _token(files: Mapping[str, bytes], name: str) -> frozenset[bytes]:
    token = files.get(name, b"").strip()
    return frozenset({token} if token else ())


def _seeds(files: Mapping[str, bytes], prefix: str) -> dict[int, SecretBytes]:
    return {when: SecretBytes(value) for when, value in _by_activation(files, prefix).items()}


def _by_activation(files: Mapping[str, bytes], prefix: str) -> dict[int, bytes]:
    return {
        int(name.removeprefix(prefix)): value
        for name, value in files.items()
        if name.startswith(prefix) and name.removeprefix(prefix).isdecimal() and len(value) == _KEY_BYTES
    }
