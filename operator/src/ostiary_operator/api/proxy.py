"""MCPProxy: the endpoint that gateways publish, and the MCP servers behind it."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Self

from pydantic import Field, StrictStr, StringConstraints, model_validator

from ostiary_core.contract.server_selection import MOST_SERVERS
from ostiary_core.exposed_names import could_own, overlapping_prefixes
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic, Rule, Unique, problem
from ostiary_operator.api.debug_capture import DebugCapture
from ostiary_operator.api.definitions import Overrides, Pinning
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.names import DnsLabel, Hostname, NameGlobs
from ostiary_operator.api.patterns import check_together
from ostiary_operator.api.rule_conditions import count_characters
from ostiary_operator.api.server_selection import Instructions, RoutingRules, ServerFailure, ServerSelection
from ostiary_operator.api.servers import Server
from ostiary_operator.api.urls import ProxyPath


class GatewayReference(ApiModel):
    """Names a gateway."""

    name: DnsLabel
    """Name of the gateway: the value of the label `ostiary.dev/gateway` of its Service. Example: `default`."""

    namespace: DnsLabel | None = None
    """Namespace of the gateway. Absent means the operator's namespace, where the shared gateways are. The only other
    possible value is the namespace of this MCPProxy. Example: `team-a`."""


class NameSelection(ApiModel):
    """Chooses from the names that servers offer."""

    include: NameGlobs | None = None
    """Names that exist at this MCPProxy; absent means all of them. Exact, with `*` for any run of characters.
    Example: `["read_*", "get_weather"]`."""

    exclude: NameGlobs | None = None
    """Names that do not exist at this MCPProxy, even if they are included. Exact, with `*` for any run of characters.
    Example: `["*_internal"]`."""

    constraints = (
        Rule(
            "has(self.include) || has(self.exclude)",
            lambda selection: selection.include is not None or selection.exclude is not None,
            "chooses nothing",
            "set include or exclude, or remove it",
        ),
    )

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        check_together(self.include, None)
        check_together(self.exclude, None)
        return self


class Catalogue(ApiModel):
    """Which tools, resources and prompts of the servers exist at this MCPProxy, and how
    long gateways keep their lists.
    """

    tools: NameSelection | None = None
    """Which tools exist, by name. Example: `{include: ["read_*"]}`."""

    resources: NameSelection | None = None
    """Which resources and resource templates exist, by URI or URI template. Example: `{exclude: ["file:///etc/*"]}`."""

    prompts: NameSelection | None = None
    """Which prompts exist, by name. Example: `{include: ["summarise"]}`."""

    cache_ttl: Annotated[Duration, between("0s", "1h")] | None = Field(default=None, alias="cacheTTL")
    """How long a list of a server may be used again where the server itself does not say (`ttlMs`); 0s to 1h, where 0s
    keeps none of these lists. What a caller sees of it is decided for each request. Absent means 1m with
    `serverSelection: Merge`; otherwise no list is kept. Example: `5m`."""

    stale_if_error: Annotated[Duration, between("0s", "24h")] | None = None
    """How long after that a list may be shown in place of one that cannot be fetched; 0s to 24h. Then the server's
    names disappear from the lists. Absent means 10m where lists are kept. Example: `1h`."""

    pinning: Pinning = Pinning.OFF
    """What happens to tools, prompts and resources that are not in the MCPLock of their server as they are now. Warn:
    they are reported. Block: lists do not show them, and they cannot be used. Off: nothing. Example: `Block`."""

    recheck: Annotated[Duration, between("1s", "1h")] | None = None
    """How long a gateway relies on the definition of a tool that it saw, before it asks the server again for a call,
    with `pinning: Block`; 1s to 1h. Absent means 1m. Example: `30s`."""

    overrides: Overrides | None = None
    """Titles, descriptions and annotations that are shown instead of those of the servers.
    Example: `{tools: [{name: get_user, description: Returns a customer by number.}]}`."""

    constraints = (
        Rule(
            "has(self.tools) || has(self.resources) || has(self.prompts) || has(self.cacheTTL) "
            "|| has(self.staleIfError) || has(self.pinning) || has(self.recheck) || has(self.overrides)",
            lambda it: bool(it.model_fields_set),
            "says nothing",
            "set one of its fields, or remove catalogue",
        ),
    )


_IS_MERGE: Final = "(has(self.serverSelection) && self.serverSelection == 'Merge')"


def _only_merged(field: str, is_absent: Callable[["ProxySpec"], bool]) -> Rule:
    """Return the condition of a field that only an MCPProxy which merges servers may have."""
    return Rule(
        f"{_IS_MERGE} || !has(self.{field})",
        lambda it: it.is_merged or is_absent(it),
        "needs serverSelection: Merge",
        "remove it, or merge the servers",
        field_path=f".{field}",
    )


class ProxySpec(ApiModel):
    """The desired state of an MCPProxy."""

    description: Annotated[StrictStr, StringConstraints(max_length=1024)] | None = None
    """What this MCPProxy is for, as a text for people. Example: `Customer records, read only`."""

    gateways: Annotated[tuple[GatewayReference, ...], Field(max_length=16), Atomic()] = ()
    """Gateways that serve this MCPProxy. Empty means every shared gateway, and every gateway of its own namespace, as
    far as the `proxySelector` in their settings selects its labels. Example: `[{name: default}]`."""

    hostnames: Annotated[tuple[Hostname, ...], Field(max_length=16), Unique()] = ()
    """Hosts at which the path is served, as exact lower-case DNS names. Empty means any host of the gateway.
    Example: `["mcp.example.com"]`."""

    path: ProxyPath | None = None
    """Path of this MCPProxy; its endpoint is this path followed by `/mcp`. Absent means `/<namespace>/<name>`. It must
    not end in a slash or in `/mcp`, nor be under `/.well-known` or `/-`. Example: `/crm`."""

    servers: Annotated[tuple[Server, ...], Field(min_length=1, max_length=MOST_SERVERS), Unique(("name",))]
    """The MCP servers behind this MCPProxy: one, or with `serverSelection` up to 16. Their order is that of merged
    lists. Example: `[{name: crm, url: "https://mcp.example.com/mcp"}]`."""

    server_selection: ServerSelection | None = None
    """How several servers are used. Merge: clients see one catalogue of all of them, in which each name begins with the
    prefix of its server. Route: each request goes to one of them, which `routing` chooses, and names stay as they are.
    Required with several servers, not permitted with one. Example: `Merge`."""

    on_server_failure: ServerFailure | None = None
    """What lists hold with `serverSelection: Merge` while a server does not respond. Partial: the names of the others,
    and a note that some are missing. Refuse: an error instead of any list. Absent means Partial. Example: `Refuse`."""

    instructions: Instructions | None = None
    """The instructions for models that clients get with `serverSelection: Merge`. Absent means `{mode: Merge}`.
    Example: `{mode: None}`."""

    routing: RoutingRules | None = None
    """Which server a request goes to with `serverSelection: Route`, where it is required: the first rule that matches
    decides. A request that no rule matches is refused (NoRoute). At most 32 rules.
    Example: `[{name: eu, when: 'claims.region == "eu"', servers: [eu]}, {name: others, servers: [us]}]`."""

    catalogue: Catalogue | None = None
    """Which tools, resources and prompts of the servers exist at this MCPProxy, before any policy applies, and how long
    gateways keep lists. No caller can see or use what it omits. Where servers are merged, `include` selects names with
    their prefix, and `exclude` names with or without it. Example: `{tools: {exclude: ["delete_*"]}}`."""

    debug_capture: DebugCapture | None = None
    """Keeps the latest exchanges until a time, redacted, for `ostiary logs`. Absent means that none are kept. Who may
    read the Secret of a gateway may read them. Example: `{until: "2026-11-29T18:00:00Z"}`."""

    constraints = (
        Rule(
            "has(self.serverSelection) || self.servers.size() < 2",
            lambda it: it.server_selection is not None or len(it.servers) < 2,
            "is required with several servers",
            "set Merge for one catalogue of all, or Route for one server for each request",
            field_path=".serverSelection",
        ),
        Rule(
            "!has(self.serverSelection) || self.servers.size() > 1",
            lambda it: it.server_selection is None or len(it.servers) > 1,
            "needs several servers",
            "remove it, or add servers",
            field_path=".serverSelection",
        ),
        Rule(
            f"{_IS_MERGE} ? self.servers.all(s, has(s.prefix)) : !self.servers.exists(s, has(s.prefix))",
            lambda it: all((server.prefix is not None) == it.is_merged for server in it.servers),
            "needs a prefix for each server with serverSelection: Merge, and none otherwise",
            "set prefix, such as crm_, for each server, or remove it from all",
            field_path=".servers",
        ),
        Rule(
            "self.servers.all(a, self.servers.all(b, a.name == b.name || !has(a.prefix) || !has(b.prefix) "
            "|| (a.prefix == '' ? b.prefix != '' : !b.prefix.startsWith(a.prefix))))",
            lambda it: overlapping_prefixes([each.prefix for each in it.servers if each.prefix is not None]) is None,
            "has two prefixes of which one begins the other, so that a name could be of either server",
            "choose prefixes that differ from the beginning, such as crm_ and erp_; one may be empty",
            field_path=".servers",
        ),
        _only_merged("onServerFailure", lambda it: it.on_server_failure is None),
        _only_merged("instructions", lambda it: it.instructions is None),
        Rule(
            "has(self.routing) == (has(self.serverSelection) && self.serverSelection == 'Route')",
            lambda it: (it.routing is not None) == (it.server_selection is ServerSelection.ROUTE),
            "is required with serverSelection: Route, and not permitted otherwise",
            "write a rule for each kind of request, or remove it",
            field_path=".routing",
        ),
        Rule(
            "!has(self.routing) || self.routing.all(r, r.servers.all(n, self.servers.exists(s, s.name == n)))",
            lambda it: {name for rule in it.routing or () for name in rule.servers} <= {s.name for s in it.servers},
            "names a server that is not in spec.servers",
            "correct the name, or add the server",
            field_path=".routing",
        ),
    )

    @property
    def is_merged(self) -> bool:
        """Whether clients see one catalogue of several servers."""
        return self.server_selection is ServerSelection.MERGE

    @model_validator(mode="before")
    @classmethod
    def _count_characters(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            count_characters(data.get("routing"), field="routing")
        return data

    @model_validator(mode="after")
    def _check_included_names(self) -> Self:
        prefixes = [server.prefix or "" for server in self.servers]
        for primitive in ("tools", "prompts") if self.is_merged and self.catalogue is not None else ():
            selection: NameSelection | None = getattr(self.catalogue, primitive)
            for place, name in enumerate((selection.include if selection is not None else None) or ()):
                if not any(could_own(prefix, name) for prefix in prefixes):
                    message = "begins with the prefix of no server, so it includes nothing"
                    below = ("catalogue", primitive, "include", place)
                    raise problem(message, f"write for example {prefixes[0]}{name}", below=below)
        return self
