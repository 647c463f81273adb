"""The doors of a project that is served, as the welcome shows them."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import EntryDocument
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.local.manifests import Key
from ostiary_operator.local.project import State
from ostiary_operator.local.welcome import Door


def open_doors(state: State, *, mock_port: int | None) -> list[Door]:
    """Return the doors in order of their names; behind some stands the mock server, at ``mock_port``."""
    config, urls = state.config, state.urls()
    if config is None:
        return []
    return [
        _door(entry, config, urls[Key(PROXY_KIND, entry.namespace, entry.name)], mock_port)
        for _, entry in sorted(config.entries.items())
    ]


def _door(entry: EntryDocument, config: GatewayConfig, url: str, mock_port: int | None) -> Door:
    server = entry.servers[0].url
    parts = urlsplit(server)
    return Door(
        name=entry.identity.removeprefix("default/"),
        url=url,
        server=server,
        access=_access(entry, config),
        mock=mock_port is not None and parts.port == mock_port and parts.hostname in ("localhost", "127.0.0.1", "::1"),
    )


def _access(entry: EntryDocument, config: GatewayConfig) -> str:
    if entry.invalid:
        return "every call refused: a policy of it is not valid"
    names = sorted(config.policies[digest].identity.removeprefix("default/") for digest in entry.policies)
    if names:
        return f"under {'policy' if len(names) == 1 else 'policies'} {', '.join(names)}"
    words = {"Allow": "everything is allowed", "Deny": "every call is refused"}
    return f"under no policy: {words[entry.without_policy]}"


def worth_editing(state: State) -> str:
    """Return the file that is most worth changing: that of a policy, else of a proxy."""
    for kind in (POLICY_KIND, PROXY_KIND):
        file = next(_files(state, kind), None)
        if file is not None:
            return file
    return ""


def _files(state: State, kind: str) -> Iterator[str]:
    return (manifest.file for manifest in state.manifests if manifest.key.kind == kind)
