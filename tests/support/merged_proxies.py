"""A proxy that merges several servers, in the config of a test's gateway."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateways import LONG_TIMEOUTS, LOOPBACK, RunningGateway

from ostiary_core.contract.documents import EntryDocument, PolicyDocument, ServerConfig


def merged(
    gateway: RunningGateway,
    servers: Mapping[str, str],
    policies: Sequence[PolicyDocument] = (),
    *,
    prefixes: Mapping[str, str] | None = None,
    name: str = "mock",
    of_each: Mapping[str, Any] | None = None,
    **more: Any,
) -> tuple[EntryDocument, dict[str, PolicyDocument]]:
    """One proxy that merges servers, by name and URL.

    The prefix of a server is its name and ``_``, unless ``prefixes`` has another. ``of_each`` are further members of
    each server, ``more`` of the entry.
    """
    own = {server: f"{server}_" for server in servers} | dict(prefixes or {})
    described = [
        ServerConfig(
            name=server,
            url=url,
            prefix=own[server],
            **{"timeouts": LONG_TIMEOUTS, "addresses": LOOPBACK, **(of_each or {})},
        )
        for server, url in servers.items()
    ]
    return gateway.entry(name, "", policies, servers=described, server_selection="Merge", **more)
