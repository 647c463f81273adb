"""An MCPProxy with the policies in force, as a gateway evaluates them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.errors import OstiaryError
from ostiary_core.policy import authentication_in_force
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.visibility import Visibility
from ostiary_operator.local import manifests, validation
from ostiary_operator.local.findings import Finding, Severity, in_order


class UnknownProxy(OstiaryError):
    """No MCPProxy, or several, could be meant; the message names those that exist."""


@dataclass(frozen=True)
class GovernedProxy:
    """An entry of a gateway's config, and the policies that govern it. They are compiled once."""

    entry: EntryDocument
    policies: tuple[PolicyDocument, ...]

    @classmethod
    def of(cls, config: GatewayConfig, identity: str) -> "GovernedProxy":
        """Return a proxy (``namespace/name``) of a config."""
        entry = config.entries[identity]
        return cls(entry, tuple(config.policies[key] for key in entry.policies))

    @cached_property
    def compiled(self) -> dict[str, CompiledPolicy]:
        """The policies as a gateway compiles them, by ``namespace/name``."""
        return {policy.identity: CompiledPolicy.build(policy) for policy in self.policies}

    @cached_property
    def visibility(self) -> Visibility:
        """What callers may see and use, as a gateway compiles it."""
        return Visibility.of_entry(self.entry, AccessEvaluator(list(self.compiled.values())))

    @cached_property
    def authentication(self) -> dict[str, AuthenticationConfig]:
        """The authentication that applies, by policy; empty where every caller is anonymous."""
        return authentication_in_force.in_force(self.compiled)

    @property
    def admits_anonymous(self) -> bool:
        """Whether a caller without a credential reaches the rules."""
        methods = self.authentication.values()
        return not methods or any(each.anonymous or each.passthrough for each in methods)

    def groups_of(self, consumer: str) -> frozenset[str] | None:
        """Return the groups that a consumer (``namespace/name``) has by its API keys.

        It is None for a consumer without keys.
        """
        keys = [key for each in self.authentication.values() if each.api_keys for key in each.api_keys.keys]
        found = [key.groups for key in keys if key.consumer == consumer]
        return frozenset(name for groups in found for name in groups) if found else None


def compiled_files(
    paths: Sequence[str], *, namespace: str, operator_namespace: str
) -> tuple[Mapping[str, GatewayConfig], list[Finding]]:
    """Compile YAML files; return the config of each gateway, and the errors in the files.

    Raises:
        PathError: a path cannot be used.
    """
    read = manifests.read_all(paths, namespace=namespace)
    result = validation.validate_objects(read.manifests, validation.ValidationContext(operator_namespace))
    found = [finding for finding in (*read.findings, *result.findings) if finding.severity is Severity.ERROR]
    return result.compiled.configs, in_order(found)


def find_proxies(configs: Mapping[str, GatewayConfig], wanted: str | None, *, namespace: str) -> list[GovernedProxy]:
    """Return the proxy of this name; without one, all of them.

    Raises:
        UnknownProxy: there is no such proxy.
    """
    found = {identity: config for config in configs.values() for identity in config.entries}
    identity = f"{namespace}/{wanted}" if wanted is not None and "/" not in wanted else wanted
    if identity is not None and identity not in found:
        known = ", ".join(sorted(found)) or "none"
        raise UnknownProxy(f"no gateway serves MCPProxy {identity}: correct the name; known: {known}")
    return [GovernedProxy.of(found[each], each) for each in sorted(found) if identity in {None, each}]


def find_proxy(configs: Mapping[str, GatewayConfig], wanted: str | None, *, namespace: str) -> GovernedProxy:
    """Return the proxy of this name; without one, the only proxy there is.

    Raises:
        UnknownProxy: there is no such proxy, or there are several.
    """
    found = find_proxies(configs, wanted, namespace=namespace)
    if len(found) != 1:
        known = ", ".join(proxy.entry.identity for proxy in found) or "none"
        raise UnknownProxy(f"--proxy is required, since there are several MCPProxies or none; known: {known}")
    return found[0]
