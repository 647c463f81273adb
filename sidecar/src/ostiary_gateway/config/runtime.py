"""One compiled proxy: everything that its requests need, built once and never changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.contract.read_errors import unreadable
from ostiary_core.policy.access import AccessEvaluator, CompiledPolicy
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.telemetry import semantic_conventions
from ostiary_gateway.upstream.server import UpstreamServer


@dataclass(frozen=True, slots=True)
class ProxyRuntime:
    """A proxy as it is served.

    ``namespace`` and ``name`` go into telemetry; ``uid`` binds its sessions.
    """

    identity: str
    namespace: str
    name: str
    uid: str
    digest: str
    path: str
    endpoint: str
    hostnames: frozenset[str]
    visibility: Visibility
    server: UpstreamServer
    evidence: Mapping[str, str]
    """The attributes of every span on this proxy."""
    policies: Mapping[str, CompiledPolicy]
    """By digest, so that the next revision does not compile them again."""


ServerFactory = Callable[[EntryDocument], UpstreamServer]


def build_runtime(
    digest: str, text: bytes, policy: Callable[[str], CompiledPolicy], servers: ServerFactory
) -> ProxyRuntime:
    """Compile the entry in ``text``. ``policy`` returns a compiled policy by its digest.

    Raises:
        OstiaryError: the entry, or something that it refers to, is invalid; the message says what.
    """
    entry = parse_entry(text)
    policies = {key: policy(key) for key in entry.policies}
    access = AccessEvaluator(sorted(policies.values(), key=lambda p: (p.tier, p.identity)))
    return ProxyRuntime(
        identity=entry.identity,
        namespace=entry.namespace,
        name=entry.name,
        uid=entry.uid,
        digest=digest,
        path=entry.path,
        endpoint=entry.endpoint,
        hostnames=frozenset(entry.hostnames),
        visibility=Visibility.build(entry.catalogue, access, default=entry.without_policy, invalid=entry.invalid),
        server=servers(entry),
        evidence={
            semantic_conventions.OSTIARY_PROXY_NAMESPACE: entry.namespace,
            semantic_conventions.OSTIARY_PROXY_NAME: entry.name,
        },
        policies=policies,
    )


def parse_entry(text: bytes) -> EntryDocument:
    """Read an entry document.

    Raises:
        ContractError: it does not follow the contract.
    """
    try:
        return EntryDocument.model_validate_json(text)
    except ValidationError as error:
        raise unreadable("entry", error) from None


def parse_policy(text: bytes) -> PolicyDocument:
    """Read a policy document.

    Raises:
        ContractError: it does not follow the contract.
    """
    try:
        return PolicyDocument.model_validate_json(text)
    except ValidationError as error:
        raise unreadable("policy", error) from None
