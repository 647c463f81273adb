"""Which server of an MCPProxy gets a described call, for explanations."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.documents import EntryDocument, ServerConfig
from ostiary_core.mcp.methods import METHODS, Primitive, Verb
from ostiary_core.policy.expressions import ExpressionResult
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.routing import Routing, TracedRule
from ostiary_operator.local.console import printable

_SHOWN: Final = 200
_RESULTS: Final = {
    ExpressionResult.TRUE: "matches",
    ExpressionResult.FALSE: "does not match",
    ExpressionResult.ERROR: "cannot be evaluated, so no other rule is tried",
    None: "is not tried",
}


class Destination(NamedTuple):
    """The servers that a call may go to, in order of preference; none where it goes nowhere.

    ``name`` is what the first of them calls it. ``cause`` says why there is none. ``rules`` are those of spec.routing,
    with their results.
    """

    servers: tuple[ServerConfig, ...]
    name: str
    cause: str = ""
    rules: tuple[TracedRule, ...] = ()
    rule: str = ""

    def as_object(self) -> dict[str, Any]:
        """The destination as a JSON object."""
        return {
            "servers": [server.name for server in self.servers],
            "name": self.name if self.servers else None,
            "route": self.rule or None,
            "routing": [{"rule": each.rule.name, "outcome": _outcome(each)} for each in self.rules],
        }

    def lines(self) -> Iterator[str]:
        """Yield the destination as lines for people."""
        if not self.servers:
            yield f"server   none: {self.cause}"
        else:
            first, *others = (server.name for server in self.servers)
            by = f" (rule {self.rule} of spec.routing)" if self.rule else ""
            named = "" if self.rule else f", which calls it {printable(self.name, limit=_SHOWN)}"
            yield f"server   {first}{''.join(f', else {name}' for name in others)}{named}{by}"
        for each in self.rules:
            mark = "=>" if each.rule.name == self.rule else "  "
            yield f" {mark} route  {each.rule.name}: {_outcome(each)}"


def destination_of(entry: EntryDocument, primitive: Primitive, name: str, call: Call) -> Destination | None:
    """Return where a call goes; None where the proxy has one server.

    A list of a proxy that merges servers goes to all of them: there it is the server of the name that is looked for.
    """
    names = CatalogueNames.of_entry(entry)
    if names is not None:
        return _of_owner(entry, names, primitive, name)
    if entry.server_selection != "Route":
        return None
    return _of_route(entry, name, call)


def list_method(primitive: Primitive) -> str:
    """Return the method that lists a primitive."""
    return next(row.name for row in METHODS.values() if row.primitive is primitive and row.verb is Verb.LIST)


def _of_owner(entry: EntryDocument, names: CatalogueNames, primitive: Primitive, name: str) -> Destination:
    owned = names.owner_of(primitive, name)
    if owned is not None:
        return Destination((entry.servers[owned.server],), owned.name)
    if primitive is Primitive.RESOURCES:
        known = ", ".join(f"scheme://{server}/" for server, prefix in names.servers if prefix)
        return Destination((), "", f"the URI has the mark of no server; marks are {known}")
    known = ", ".join(prefix for _, prefix in names.servers if prefix)
    return Destination((), "", f"the name begins with the prefix of no server; prefixes are {known}")


def _of_route(entry: EntryDocument, name: str, call: Call) -> Destination:
    routing = Routing.build(entry.routing or (), [server.name for server in entry.servers])
    decision = routing.decide(call.principal, method=call.request["method"], call=lambda: call)
    rules = routing.trace(call)
    if decision.servers:
        servers = tuple(entry.servers[position] for position in decision.servers)
        return Destination(servers, name, rules=rules, rule=decision.rule)
    failed = f"rule {decision.rule} of spec.routing cannot be evaluated"
    cause = failed if decision.failed else "no rule of spec.routing matches"
    return Destination((), "", f"{cause} (NoRoute)", rules)


def _outcome(traced: TracedRule) -> str:
    return _RESULTS[traced.result]
