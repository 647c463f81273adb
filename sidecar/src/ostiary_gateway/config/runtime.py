"""One compiled proxy: everything that its requests need, built once and never changed."""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydantic import ValidationError

from ostiary_core.content.record_masks import RecordMasks
from ostiary_core.contract.debug_capture import DebugCaptureConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument, SettingsDocument
from ostiary_core.contract.read_errors import unreadable
from ostiary_core.contract.server_selection import ListCacheConfig
from ostiary_core.errors import ContractError
from ostiary_core.limits.limit_evaluator import LimitEvaluator
from ostiary_core.limits.limited_servers import LimitedServers
from ostiary_core.limits.loop_detection import LoopRules
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.principal import Principal
from ostiary_core.policy.routing import Routing
from ostiary_core.policy.unmatched_names import SpelledNames
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.config.server_selection import MergeRuntime, NamesOfServers, merge_of, routing_of
from ostiary_gateway.errors import Refusal
from ostiary_gateway.server.request import Request
from ostiary_gateway.telemetry import semantic_conventions
from ostiary_gateway.upstream.known_names import KnownNames
from ostiary_gateway.upstream.server import UpstreamServer


class CallerAuthenticator(Protocol):
    """Finds out who sends a request (:mod:`ostiary_gateway.identity`)."""

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that it reads, in lower case."""

    @property
    def token_origins(self) -> frozenset[str] | None:
        """The origins of token endpoints that callers' tokens may be sent to; None for any."""

    def recognised(self, request: Request) -> Principal | None:
        """Return who sends a request, if its credential was verified before and is still accepted.

        None where :meth:`authenticate` must find out.
        """

    async def authenticate(self, request: Request, settings: SettingsDocument) -> Principal:
        """Return who sends a request.

        Raises:
            Refusal: the request has no valid credential.
        """

    def relay_challenge(
        self, request: Request, settings: SettingsDocument, status: int, challenge: str
    ) -> Refusal | None:
        """Return a server's challenge as this proxy's own; None where it is not relayed."""

    def scope_challenge(self, request: Request, settings: SettingsDocument, scopes: Iterable[str]) -> str:
        """Return the challenge of a call that needs a token with all of these scopes."""


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
    servers: tuple[UpstreamServer, ...]
    """In the order of the spec."""
    evidence: Mapping[str, str]
    """The attributes of every span on this proxy."""
    policies: Mapping[str, CompiledPolicy]
    """By digest, so that the next revision does not compile them again."""
    authenticator: CallerAuthenticator | None = None
    """None where every caller is anonymous."""
    debug_capture: DebugCaptureConfig | None = None
    """None where no exchanges are captured."""
    spelled_names: Container[str] = ()
    """The names of tools and prompts that rules write out: known, whether or not the server has listed them."""
    limits: LimitEvaluator | None = None
    """None where no policy limits requests."""
    loops: LoopRules | None = None
    """None where no policy watches for calls that repeat others."""
    merge: MergeRuntime | None = None
    """How its servers are merged into one catalogue; None where they are not."""
    routing: Routing | None = None
    """The rules that choose among its servers; None where none do."""
    list_cache: ListCacheConfig | None = None
    """How long lists of its servers are kept; None where they are not."""
    record_masks: RecordMasks | None = None
    """What is masked in all that is written down of its messages; None where no policy has masks."""
    scorer_addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By the identity of a policy: CIDRs that its scorers may resolve to although the default forbids them."""
    names: NamesOfServers | None = None
    """The names that its servers have listed, as its callers know them; None where it has one server."""

    @property
    def server(self) -> UpstreamServer:
        """The server of a proxy that has one; else the first."""
        return self.servers[0]

    @property
    def known(self) -> KnownNames | NamesOfServers:
        """The names that its servers have listed, as its callers know them."""
        return self.names if self.names is not None else self.servers[0].known


#: Of all proxies without hostnames.
_ANY_HOST: Final[frozenset[str]] = frozenset()
ServerFactory = Callable[[EntryDocument], tuple[UpstreamServer, ...]]
AuthenticatorFactory = Callable[[EntryDocument, Mapping[str, CompiledPolicy]], CallerAuthenticator | None]


def no_authentication(entry: EntryDocument, policies: Mapping[str, CompiledPolicy]) -> None:
    """Refuse policies that authenticate callers, for a gateway that cannot do so.

    Raises:
        ContractError: a policy sets authentication.
    """
    if any(policy.authentication is not None for policy in policies.values()):
        raise ContractError(f"entry {entry.identity}: this gateway cannot authenticate callers")


def build_runtime(
    digest: str,
    text: bytes,
    policy: Callable[[str], CompiledPolicy],
    take: ServerFactory,
    authenticators: AuthenticatorFactory = no_authentication,
) -> ProxyRuntime:
    """Compile the entry in ``text``.

    ``policy`` returns a compiled policy by its digest, ``take`` the servers of an entry.

    Raises:
        OstiaryError: the entry, or something that it refers to, is invalid; the message says what.
    """
    entry = parse_entry(text)
    policies = {key: policy(key) for key in entry.policies}
    servers, merge = take(entry), merge_of(entry)
    limited = LimitedServers.of_entry(entry)
    access = AccessEvaluator(sorted(policies.values(), key=lambda p: (p.tier, p.identity)))
    return ProxyRuntime(
        identity=entry.identity,
        namespace=entry.namespace,
        name=entry.name,
        uid=entry.uid,
        digest=digest,
        path=entry.path,
        endpoint=entry.endpoint,
        hostnames=frozenset(entry.hostnames) if entry.hostnames else _ANY_HOST,
        visibility=Visibility.of_entry(entry, access),
        servers=servers,
        evidence={
            semantic_conventions.OSTIARY_PROXY_NAMESPACE: entry.namespace,
            semantic_conventions.OSTIARY_PROXY_NAME: entry.name,
        },
        policies=policies,
        merge=merge,
        routing=routing_of(entry),
        list_cache=entry.list_cache,
        names=NamesOfServers(servers, merge.catalogue if merge is not None else None) if len(servers) > 1 else None,
        authenticator=authenticators(entry, policies),
        debug_capture=entry.debug_capture,
        spelled_names=SpelledNames(policies.values()),
        loops=LoopRules.build(policies.values(), proxy=entry.uid, servers=limited),
        limits=LimitEvaluator.build(policies.values(), proxy=entry.identity, servers=limited),
        scorer_addresses=_scorer_addresses(entry, policies.values()),
        record_masks=RecordMasks.build(policy.content for policy in policies.values()),
    )


def _scorer_addresses(entry: EntryDocument, policies: Iterable[CompiledPolicy]) -> dict[str, tuple[str, ...]]:
    granted = entry.scorer_addresses
    if granted is None:
        return {}
    by_tier = {"platform": tuple(granted.platform or ()), "owner": tuple(granted.owner or ())}
    return {policy.identity: by_tier[policy.tier] for policy in policies if by_tier[policy.tier]}


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
