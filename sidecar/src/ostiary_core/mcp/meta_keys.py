"""The specification's own keys of ``_meta``, and its names of extensions."""

from typing import Any, Final

#: The prefix of all of them: nothing else may begin so.
_PREFIX: Final = "io.modelcontextprotocol/"

#: Keys of ``params._meta`` that every modern request holds.
META_PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
META_CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
#: Keys of ``params._meta`` that a modern request may hold.
META_CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
META_LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
#: The key of a result's ``_meta`` by which a modern server names itself.
META_SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
#: The key of ``params._meta`` by which a notification names the listen that it is for.
META_SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"

TASKS_EXTENSION: Final = "io.modelcontextprotocol/tasks"
UI_EXTENSION: Final = "io.modelcontextprotocol/ui"


def without_own_keys(meta: Any) -> dict[str, Any]:
    """Return the members of a ``_meta`` that the specification does not define."""
    return {key: each for key, each in meta.items() if not key.startswith(_PREFIX)} if isinstance(meta, dict) else {}
