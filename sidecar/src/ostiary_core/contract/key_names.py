"""How the keys in a gateway's Secret are named, and what of that name lies where no key belongs.

    mac-<activation>        signs manifests from that moment on (epoch seconds)
    session-<activation>    seals session ids from that moment on, and opens them for as long as it is here
    admin-token             the bearer of the gateway's admin port

Only the Secret is trusted with keys. Who may write a ConfigMap chooses the names in it, so there a name proves nothing.
"""

from collections.abc import Iterable
from typing import Final

MAC_PREFIX: Final = "mac-"
SESSION_PREFIX: Final = "session-"
ADMIN_TOKEN: Final = "admin-token"  # noqa: S105  the name of a key, not a token

#: Where the keys lie in the folder of a config, unless they have a folder elsewhere. No name in a ConfigMap makes one.
FOLDER: Final = "keys"

#: How many names a message tells.
_NAMED: Final = 5


def is_key(name: str) -> bool:
    """Say whether this is the name of a key."""
    return name.startswith((MAC_PREFIX, SESSION_PREFIX)) or name == ADMIN_TOKEN


def misplaced(config_files: Iterable[str]) -> tuple[str, ...]:
    """Return, sorted, what has the name of a key among the names of a config's files, where no key belongs."""
    return tuple(sorted(filter(is_key, config_files)))


def few(names: tuple[str, ...]) -> str:
    """Return names for a message, of many the first."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
