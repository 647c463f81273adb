"""The leg of a request that names something of one server: a tool, a prompt, a resource.

The name says whose it is, so no list has to be read for it (:mod:`ostiary_core.catalogue_names`). The server gets its
own name, in the body and in ``Mcp-Name``.
"""

from typing import Any, Final

from ostiary_core.exposed_names import LONGEST_NAME, Owned
from ostiary_core.mcp.methods import AuthorizationKind, Primitive
from ostiary_gateway.config.server_selection import MergeRuntime
from ostiary_gateway.pipeline.authorize import unknown_name
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.message_members import completion_reference

#: Constants: looking them up in their class would cost time on every call.
_NAME: Final = AuthorizationKind.NAME
_RESOURCES: Final = Primitive.RESOURCES
_TOOLS: Final = Primitive.TOOLS
_COMPLETION: Final = AuthorizationKind.COMPLETION


def owner_leg(exchange: Exchange, message: Message, merge: MergeRuntime) -> Leg | None:
    """Return the leg to the owner of what a message names.

    It is None where the method names nothing of one server.

    Raises:
        Refusal: no server has such a name.
    """
    method = message.method
    if method is None:
        return None
    kind = method.authorization
    if kind is _NAME and method.primitive is not None:
        owned = _owner(merge, method.primitive, message.name)
        if method.primitive is _TOOLS and not exchange.proxy.servers[owned.server].has_tool(owned.name):
            raise unknown_name(_TOOLS, message.name)  # in the words of one that is hidden
        params = {**message.body["params"], method.name_key: owned.name}  # its name was read there
    elif kind is _COMPLETION:
        primitive, name = completion_reference(message)
        owned = _owner(merge, primitive, name)
        reference = {**message.params["ref"], "name" if primitive is Primitive.PROMPTS else "uri": owned.name}
        params = {**message.params, "ref": reference}
    else:
        return None
    return leg_to(exchange, message, merge, owned, params)


def leg_to(exchange: Exchange, message: Message, merge: MergeRuntime, owned: Owned, params: dict[str, Any]) -> Leg:
    """Return the leg that sends a message with other params to the owner of what it names.

    URIs in what the server answers are those of the catalogue.
    """
    sent = Message(
        {**message.body, "params": params},
        message.era,
        message.revision,
        message.method,
        message.id,
        owned.name if message.name else "",
    )
    translation = merge.content[owned.server]
    return Leg(exchange.proxy.servers[owned.server], sent, exchange.session, translation)


def _owner(merge: MergeRuntime, primitive: Primitive, name: str) -> Owned:
    owned = merge.catalogue.owner_of(primitive, name)
    # A longer name is in no list: it would be another server's tool for clients that shorten it.
    if owned is None or (primitive is not _RESOURCES and len(name) > LONGEST_NAME):
        raise unknown_name(primitive, name)
    return owned
