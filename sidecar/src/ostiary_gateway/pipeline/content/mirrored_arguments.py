"""Mirrored parameters (``Mcp-Param-*``) of a call whose arguments are judged or changed.

A header repeats an argument, so what must not leave in one must not leave in the other. The headers of declared
parameters are written again from the arguments as they travel. Of the caller's others, whose arguments are not known,
one passes only if its text is a value in those arguments.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_gateway.pipeline import mirrored_parameters
from ostiary_gateway.pipeline.content.destinations import recipients
from ostiary_gateway.pipeline.content.request_content import RequestContent
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.mirrored_headers import decoded, mismatch
from ostiary_gateway.server.request import Request
from ostiary_gateway.upstream.server import UpstreamServer

#: The values of arguments that a header is compared with.
_MOST_VALUES: Final = 10_000
_PARAM_LIMIT: Final = 64


def compare(exchange: Exchange, content: RequestContent, message: Message) -> None:
    """Compare the mirrored parameters of a call with its own arguments, before these change.

    Raises:
        Refusal: -32020 for one that contradicts the body, for one that is repeated, and for too many.
    """
    if content.is_compared:
        return
    content.is_compared = True
    callers = callers_parameters(exchange.request) if message.era is MODERN else {}
    for server, name in recipients(exchange) if callers else ():
        mirrored_parameters.check(server, replace(message, name=name), callers)


def parameters_for(exchange: Exchange, server: UpstreamServer, message: Message) -> dict[str, str]:
    """Return the mirrored parameters of a message to a server, under that server's own names.

    Raises:
        Refusal: -32020 for one that contradicts the caller's body, for one that is repeated, and for too many.
    """
    content = exchange.content
    if content is None or not content.is_compared:
        return checked_parameters(exchange.request, server, message)
    return rewritten(server, message, callers_parameters(exchange.request))


def rewritten(server: UpstreamServer, message: Message, callers: Mapping[str, str]) -> dict[str, str]:
    """Return the mirrored parameters of a message as it travels.

    ``callers`` are those that its caller sent.

    Raises:
        Refusal: -32020 for one that is badly encoded.
    """
    arguments = message.params.get("arguments")
    declared = mirrored_parameters.headers(server, message.name, arguments)
    known = frozenset(texts_of(arguments)) if callers.keys() - declared.keys() else frozenset()
    kept = {name: value for name, value in callers.items() if decoded(name, value) in known}
    return {**kept, **declared}


def texts_of(arguments: Any) -> Iterator[str]:
    """Yield the texts by which headers may mirror values in arguments."""
    level, left = [arguments], _MOST_VALUES
    while level and left > 0:
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list):
                below += each
            elif isinstance(each, bool):
                yield "true" if each else "false"
            elif each is not None:
                yield each if isinstance(each, str) else repr(each)
        left -= len(level)
        level = below


def checked_parameters(caller: Request, server: UpstreamServer, message: Message) -> dict[str, str]:
    """Return the mirrored parameters of a request, which agree with its body if that is known.

    Raises:
        Refusal: -32020 for one that contradicts the body, for one that is repeated, and for too many.
    """
    parameters = callers_parameters(caller)
    if parameters:
        mirrored_parameters.check(server, message, parameters)
    return parameters


def callers_parameters(caller: Request) -> dict[str, str]:
    """Return the mirrored parameters of a request, as its caller sent them.

    Raises:
        Refusal: -32020 for one that is repeated, and for too many.
    """
    parameters = {name: value for name, value in caller.headers.items() if name.startswith(mirrored_parameters.PREFIX)}
    if parameters and (len(parameters) > _PARAM_LIMIT or not caller.repeated.isdisjoint(parameters)):
        raise mismatch("Too many, or repeated, Mcp-Param headers")
    return parameters
