"""Validates and compiles the files on each change, and keeps the last good versions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api.resources import PROXY_KIND
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.model import Compiled, ObjectKey, ResourceStatus
from ostiary_operator.local import upstreams
from ostiary_operator.local.findings import Finding, Severity, in_order
from ostiary_operator.local.manifests import ManifestKey, ObjectManifest, Read, key_of
from ostiary_operator.local.validation import ValidationContext, ValidationResult, ungoverned, validate_objects

#: This machine, which gateways do not connect to unless their settings say so.
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True, slots=True)
class ProjectState:
    """The result of one compilation of the files.

    ``findings`` are to be reported. ``faulty`` are the objects whose newest version is not in force, including those of
    files whose last good content is kept: their findings are not reported again.
    """

    manifests: tuple[ObjectManifest, ...]
    findings: tuple[Finding, ...]
    faulty: frozenset[ManifestKey]
    compiled: Compiled
    gateway: str
    credentials: Mapping[str, SecretBytes] = field(default_factory=dict, repr=False)

    @property
    def config(self) -> GatewayConfig | None:
        """The gateway's config; None if its settings were never valid."""
        return self.compiled.configs.get(self.gateway)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    def status(self, key: ManifestKey) -> ResourceStatus | None:
        """The compiler's status of an MCPProxy or MCPPolicy."""
        return self.compiled.statuses.get(ObjectKey(*key))

    def open_to_all(self) -> frozenset[ManifestKey]:
        """The served proxies that no policy governs, so that every client may use everything."""
        entries = self.config.entries.values() if self.config is not None else ()
        return frozenset(
            ManifestKey(PROXY_KIND, entry.namespace, entry.name)
            for entry in entries
            if not entry.policies and not entry.invalid and entry.without_policy == "Allow"
        )

    def unrecorded(self) -> list[str]:
        """The policies that demand audit records, where only standard output would get them."""
        config = self.config
        settings = config.settings.audit if config is not None else None
        if config is None or any(not sink.stdout for sink in (settings.sinks if settings is not None else None) or ()):
            return []
        audited = (each for each in config.policies.values() if each.audit is not None and each.audit.level != "None")
        return sorted({f"{each.namespace}/{each.name}" for each in audited})

    def ungoverned(self) -> list[Finding]:
        """A warning for each proxy that no policy governs, in the order of the files."""
        return in_order(ungoverned(ValidationResult(self.manifests, self.findings, self.compiled)))

    def urls(self) -> Mapping[ManifestKey, str]:
        """The endpoint of each proxy that the gateway serves."""
        found = {}
        for key, status in self.compiled.statuses.items():
            at = [url for gateway, _, url in status.urls if gateway == self.gateway]
            if at:
                found[ManifestKey(*key)] = at[0]
        return found


class Project:
    """Validates and compiles what was read, and keeps the last good config.

    ``base_url`` is the gateway's external URL; ``mock_ports`` replaces ports of the mock servers
    in proxies.
    """

    def __init__(
        self, *, operator_namespace: str, base_url: str, mock_ports: Mapping[int, int] = MappingProxyType({})
    ) -> None:
        self._context = ValidationContext(operator_namespace, defaults=default_settings(base_url))
        self.mock_ports = mock_ports
        self._cache = Cache()
        self._previous: Mapping[str, GatewayConfig] = {}

    @property
    def gateway(self) -> str:
        """The identity of the local gateway."""
        return self._context.identity

    def update(self, read: Read) -> ProjectState:
        """Validate and compile.

        An object whose new version is invalid keeps its last accepted version.
        """
        manifests = upstreams.moved(read.manifests, ports=self.mock_ports)
        result = validate_objects(manifests, self._context, previous=self._previous, cache=self._cache)
        self._previous = result.compiled.configs
        stale = {finding.file for finding in read.findings}
        findings = [*read.findings, *(finding for finding in result.findings if finding.file not in stale)]
        return ProjectState(
            result.manifests,
            tuple(in_order(findings)),
            _faulty(result),
            result.compiled,
            self.gateway,
            result.credentials,
        )


def _faulty(result: ValidationResult) -> frozenset[ManifestKey]:
    wrong = {key_of(error) for error in result.errors}
    refused = {
        ManifestKey(*key)
        for key, status in result.compiled.statuses.items()
        if any(condition.status == "False" for condition in status.conditions)
    }
    return frozenset(wrong | refused)


def default_settings(base_url: str) -> dict[str, Any]:
    """Return the local gateway's default settings.

    They have its URL, and a grant for servers on this machine.
    """
    return {
        "externalURL": base_url,
        "grants": [{"namespaces": ["*"], "addresses": list(_LOOPBACK)}],
    }


def live(before: Mapping[ManifestKey, ObjectManifest], state: ProjectState) -> dict[ManifestKey, ObjectManifest]:
    """Return the version of each object that is in force.

    For a faulty object that is the last good one, if any.
    """
    return dict(_live(before, state))


def _live(
    before: Mapping[ManifestKey, ObjectManifest], state: ProjectState
) -> Iterable[tuple[ManifestKey, ObjectManifest]]:
    for manifest in state.manifests:
        key = manifest.key
        if key not in state.faulty:
            yield key, manifest
        elif key in before:
            yield key, before[key]
