"""The contents of one request: which rules it has to pass, and what travels in its place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ostiary_core.content.content_rules import ContentRules, ItemRules
from ostiary_core.content.transforms.transform_set import TransformedHeaders
from ostiary_core.mcp.methods import AuthorizationKind, Primitive
from ostiary_core.policy.message_conditions import Call
from ostiary_gateway.content.scorer_client import Scorers
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.message_members import completion_reference
from ostiary_gateway.server.request import Request
from ostiary_gateway.upstream.server import UpstreamServer

if TYPE_CHECKING:
    from ostiary_gateway.pipeline.tool_definitions.definition_fetch import DefinitionFetch
    from ostiary_gateway.pipeline.tool_definitions.definition_store import KnownDefinition
    from ostiary_gateway.telemetry import ServerSpan

_OF_TASKS: Final = frozenset({AuthorizationKind.TASK, AuthorizationKind.TASK_LIST})


@dataclass(slots=True)
class RequestContent:
    """The contents of one request, while it is judged.

    ``rules`` are those for its server and name; None where there are none. ``scorers`` are asked by guards.
    ``restored`` are the arguments with tokens restored, which the server gets and no record shows; None where nothing
    was restored; ``token_uri`` is the URI with tokens that its caller named a resource by, which has its values in the
    message's name alone. ``headers`` are those of transformations. ``is_compared`` once the caller's mirrored
    parameters were compared with its own arguments, which may be changed from then on. ``digest`` is what a
    ``requestState`` is bound to of the request as its caller sent it, empty where that is the request as it travels.
    ``call`` is kept for transformations of the result that read the request. ``definitions`` is what is known of the
    tool at each server that may get the request, as far as that is checked, and ``fetch`` finds what is not.
    ``span`` is that of the exchange, for what the gateway itself sends to servers.
    """

    rules: ItemRules | None
    scorers: Scorers
    restored: dict[str, Any] | None = None
    token_uri: str = ""
    headers: TransformedHeaders | None = None
    is_compared: bool = False
    digest: bytes = b""
    call: Call | None = None
    definitions: "dict[UpstreamServer, KnownDefinition]" = field(default_factory=dict)
    fetch: "DefinitionFetch | None" = None
    span: "ServerSpan | None" = None

    def arguments(self, message: Message) -> Any:
        """Return the arguments that travel."""
        return self.restored if self.restored is not None else message.params.get("arguments", {})

    def headers_for(self, server: UpstreamServer, request: Request) -> dict[str, str]:
        """Return the headers of transformations for a server, whose own headers they never replace."""
        given = self.headers.given(request.headers) if self.headers is not None else {}
        return {name: value for name, value in given.items() if name not in server.own_headers}

    def free(self) -> None:
        """Free the parsed arguments of a request that has been sent."""
        self.restored = None


def rules_of(content: ContentRules, message: Message) -> ItemRules | None:
    """Return the rules that a message of a client has to pass; None where there are none.

    Those for every name that could be meant where it names nothing: responses to what a server asked, notifications.

    Raises:
        Refusal: a completion names neither a prompt nor a resource.
    """
    method = message.method
    kind = method.authorization if method is not None else None
    if method is None or kind is None:
        return content.unnamed()
    if kind is AuthorizationKind.NAME and method.primitive is not None:
        return content.of(method.primitive, message.name)
    if kind is AuthorizationKind.COMPLETION:
        return content.of(*completion_reference(message))
    if kind in _OF_TASKS:
        return content.of_primitive(Primitive.TOOLS)
    return content.of_primitive(method.primitive) if method.primitive is not None else content.unnamed()


def with_arguments(message: Message, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a message with other arguments."""
    return {**message.body, "params": {**message.params, "arguments": arguments}}
