"""What the gateway learns of a server from each list, before anything is filtered out."""

from collections.abc import Mapping
from typing import Any

from ostiary_core.mcp.methods import Method
from ostiary_gateway.evidence.listed_items import LISTED
from ostiary_gateway.pipeline import mirrored_parameters
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import Steps
from ostiary_gateway.pipeline.lists.caller_context import presented
from ostiary_gateway.pipeline.read_only_tools import READ_ONLY
from ostiary_gateway.pipeline.tool_definitions.definition_store import DEFINITIONS, PROMPTS_LIST, TOOLS_LIST
from ostiary_gateway.upstream.server import UpstreamServer


def observe(server: UpstreamServer, method: Method, text: bytes, message: Mapping[str, Any]) -> bool:
    """Learn from a list as its server sent it.

    That is names, items, read-only tools, tools that may be called again, mirrored parameters.

    ``message`` is the parsed ``text``. Return whether the list must be read each time it is received, since another one
    may have arrived in between.
    """
    result = message.get("result")
    items = result.get(method.list_key) if isinstance(result, dict) and method.list_key else None
    if isinstance(items, list) and (changed := LISTED.learn(server, method, items)):
        news = message if changed is items else {"result": {method.list_key: changed}}
        server.known.learn(method, news)
        READ_ONLY.learn(server, method, news)
    retried = server.retry.tools if server.retry is not None else None
    if retried is None or not retried.has_hints:
        return mirrored_parameters.learn(server, method, text, message)
    retried.learn(method.name, message)
    mirrored_parameters.learn(server, method, text, message)
    return True


def observing(
    exchange: Exchange, server: UpstreamServer, method: Method, text: bytes, message: Mapping[str, Any]
) -> Steps[bool]:
    """Learn all that a list tells of its server, as the server sent it, in steps.

    ``message`` is the parsed ``text``. Return whether the list must be read each time it is received, since another one
    may have arrived in between.
    """
    teaches = observe(server, method, text, message)
    if exchange.proxy.visibility.content is None or (method is not TOOLS_LIST and method is not PROMPTS_LIST):
        return teaches
    yield from DEFINITIONS.learning(server, presented(exchange, server), method, message.get("result"))
    return True
