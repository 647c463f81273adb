"""The gateway's keys, as they lie in its Secret: names say what a key is for (``ostiary_core.contract.key_names``).

A key is created before its moment, so that every replica holds it when the first one seals with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.contract.key_names import ADMIN_TOKEN, MAC_PREFIX, SESSION_PREFIX

_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by purpose. Never printed: its representation names keys only."""

    mac: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    sessions: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    admin_tokens: frozenset[bytes] = field(default_factory=frozenset, repr=False)

    @classmethod
    def from_secret(cls, files: Mapping[str, bytes]) -> "Keyring":
        """Pick the keys among the files of the Secret by name; those of another name or a wrong length are no keys."""
        sessions = {
            int(name.removeprefix(SESSION_PREFIX)): value
            for name, value in files.items()
            if name.startswith(SESSION_PREFIX)
            and name.removeprefix(SESSION_PREFIX).isdecimal()
            and len(value) == _KEY_BYTES
        }
        mac = {n: v for n, v in files.items() if n.startswith(MAC_PREFIX) and len(v) >= _KEY_BYTES}
        token = files.get(ADMIN_TOKEN, b"").strip()
        return cls(mac, sessions, frozenset({token} if token else ()))

    @property
    def empty(self) -> bool:
        """Whether there is no key at all, as where the Secret is not there."""
        return not (self.mac or self.sessions or self.admin_tokens)

    def joined(self, other: "Keyring") -> "Keyring":
        """Return the keys of both."""
        return Keyring(
            {**self.mac, **other.mac},
            {**self.sessions, **other.sessions},
            self.admin_tokens | other.admin_tokens,
        )
