"""The endpoints of a served project, as the welcome text shows them."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import EntryDocument
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.local.manifests import ManifestKey
from ostiary_operator.local.project import ProjectState
from ostiary_operator.local.welcome import EndpointSummary


def endpoint_summaries(state: ProjectState, *, mock_port: int | None) -> list[EndpointSummary]:
    """Return the endpoints in order of their names.

    ``mock_port`` is the port of the mock server, if it runs.
    """
    config, urls = state.config, state.urls()
    if config is None:
        return []
    return [
        _summary(entry, config, urls[ManifestKey(PROXY_KIND, entry.namespace, entry.name)], mock_port)
        for _, entry in sorted(config.entries.items())
    ]


def _summary(entry: EntryDocument, config: GatewayConfig, url: str, mock_port: int | None) -> EndpointSummary:
    server = entry.servers[0].url
    parts = urlsplit(server)
    return EndpointSummary(
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


def file_to_edit(state: ProjectState) -> str:
    """Return the file to edit first: one with a policy, else one with a proxy.

    Empty if there is none.
    """
    for kind in (POLICY_KIND, PROXY_KIND):
        file = next(_files(state, kind), None)
        if file is not None:
            return file
    return ""


def _files(state: ProjectState, kind: str) -> Iterator[str]:
    return (manifest.file for manifest in state.manifests if manifest.key.kind == kind)
