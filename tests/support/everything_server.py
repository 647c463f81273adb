"""An MCP server with every fixture of the official conformance suite, on the official Python SDK.

    python everything_server.py --port 3001 [--page-size 5] [--era legacy|modern]

It listens on 127.0.0.1 and serves `/mcp` in every revision, or in those of one era. Lists come whole, as the suite
needs them, unless there is a page size; then an empty page with a cursor comes in between, which clients must not take
for the end.
"""

import argparse
import warnings
from collections.abc import Sequence
from typing import Any, TypeVar

import everything_server_content as content
import everything_server_input
import everything_server_tools
import uvicorn
from everything_server_state import Events, Request, State
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    Prompt,
    ReadResourceRequestParams,
    ReadResourceResult,
    SetLevelRequestParams,
    Tool,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from ostiary_operator.demo.mock_server.one_era import pinned
from ostiary_operator.demo.served_eras import ServedEras

_NAME = "everything-python"
_FIXTURES = {
    fixture.name: fixture for fixture in (*everything_server_tools.FIXTURES, *everything_server_input.FIXTURES)
}
_RETRY_MILLISECONDS = 100
_RESOURCE_NOT_FOUND = -32002
"""Of the revisions before 2026-07-28."""

T = TypeVar("T")


class Pages:
    """Cuts lists into pages. A cursor is the place of the next one."""

    def __init__(self, size: int | None) -> None:
        self._size = size

    def cut(self, items: Sequence[T], params: PaginatedRequestParams | None) -> tuple[list[T], str | None]:
        """The page that a request asks for, and the next cursor.

        Raises:
            MCPError: there is no such cursor.
        """
        cursor = params.cursor if params is not None else None
        if self._size is None:
            return list(items), None
        if cursor == "empty":
            return [], str(self._size)
        if cursor is not None and not cursor.isdecimal():
            raise MCPError(INVALID_PARAMS, f"No such cursor: {cursor}")
        start = int(cursor or 0)
        end = start + self._size
        following = None if end >= len(items) else "empty" if start == 0 else str(end)
        return list(items[start:end]), following


class Everything:
    """The handlers of the server."""

    def __init__(self, pages: Pages) -> None:
        self.state = State()
        self._pages = pages

    async def list_tools(self, _ctx: Request, params: PaginatedRequestParams | None) -> ListToolsResult:
        """Answer `tools/list`."""
        tools = [
            Tool(name=each.name, description=each.description, input_schema=dict(each.schema))
            for each in _FIXTURES.values()
        ]
        if self.state.tool_added:
            tools.append(Tool(name="test_added_tool", description="Was added", input_schema={"type": "object"}))
        page, following = self._pages.cut(tools, params)
        return ListToolsResult(tools=page, next_cursor=following)

    async def call_tool(self, ctx: Request, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        """Answer `tools/call`."""
        fixture = _FIXTURES.get(params.name)
        if fixture is None:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
        return await fixture.handler(self.state, ctx, params)

    async def list_prompts(self, _ctx: Request, params: PaginatedRequestParams | None) -> ListPromptsResult:
        """Answer `prompts/list`."""
        added = [Prompt(name="test_added_prompt", description="Was added")] if self.state.prompt_added else []
        page, following = self._pages.cut([*content.PROMPTS, *added], params)
        return ListPromptsResult(prompts=page, next_cursor=following)

    async def get_prompt(self, ctx: Request, params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
        """Answer `prompts/get`."""
        if params.name == "test_input_required_result_prompt":
            return await everything_server_input.prompt(ctx, params)
        found = content.prompt(params.name, params.arguments or {})
        if found is None:
            raise MCPError(INVALID_PARAMS, f"Unknown prompt: {params.name}")
        return found

    async def list_resources(self, _ctx: Request, params: PaginatedRequestParams | None) -> ListResourcesResult:
        """Answer `resources/list`."""
        page, following = self._pages.cut(content.RESOURCES, params)
        return ListResourcesResult(resources=page, next_cursor=following)

    async def list_templates(self, _ctx: Request, params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
        """Answer `resources/templates/list`."""
        page, following = self._pages.cut(content.TEMPLATES, params)
        return ListResourceTemplatesResult(resource_templates=page, next_cursor=following)

    async def read_resource(self, ctx: Request, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Answer `resources/read`."""
        found = content.read(params.uri)
        if found is None:
            modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
            code = INVALID_PARAMS if modern else _RESOURCE_NOT_FOUND
            raise MCPError(code, "Resource not found", {"uri": params.uri})
        return ReadResourceResult(contents=[found])

    async def complete(self, _ctx: Request, params: CompleteRequestParams) -> CompleteResult:
        """Answer `completion/complete`: what begins like the argument."""
        values = [word for word in ("paris", "park", "party") if word.startswith(params.argument.value)]
        return CompleteResult(completion=Completion(values=values, total=len(values), has_more=False))

    async def set_level(self, _ctx: Request, _params: SetLevelRequestParams) -> EmptyResult:
        """Answer `logging/setLevel`: everything is sent at every level."""
        return EmptyResult()


class _Server(Server[Any]):
    """The SDK's server, which announces to sessions that its lists may change."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        options = notification_options or NotificationOptions(True, True, True)
        return super().create_initialization_options(options, experimental_capabilities, extensions)


def build(page_size: int | None = None) -> Server[Any]:
    """The server, with all its handlers."""
    everything = Everything(Pages(page_size))
    state, public = everything.state, CacheHint(ttl_ms=1000, scope="public")
    server = _Server(
        _NAME,
        version="1.0.0",
        instructions="Everything that the conformance suite asks for.",
        cache_hints={
            "tools/list": public,
            "prompts/list": public,
            "resources/list": public,
            "resources/templates/list": public,
            "resources/read": CacheHint(ttl_ms=0, scope="private"),
        },
        get_tool_input_schema=lambda name: _FIXTURES[name].schema if name in _FIXTURES else None,
        on_list_tools=everything.list_tools,
        on_call_tool=everything.call_tool,
        on_list_prompts=everything.list_prompts,
        on_get_prompt=everything.get_prompt,
        on_list_resources=everything.list_resources,
        on_list_resource_templates=everything.list_templates,
        on_read_resource=everything.read_resource,
        on_subscribe_resource=state.subscribe,
        on_unsubscribe_resource=state.unsubscribe,
        on_subscriptions_listen=ListenHandler(state.bus),
        on_completion=everything.complete,
        on_set_logging_level=everything.set_level,
    )
    server.middleware.append(state)
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=_NAME))
    return server


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--page-size", type=int)
    parser.add_argument("--era", choices=[each.value for each in ServedEras], default=ServedEras.BOTH.value)
    arguments = parser.parse_args()
    # Logging, roots and sampling are deprecated in 2026-07-28; a gateway must carry them all the same.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    app = build(arguments.page_size).streamable_http_app(event_store=Events(), retry_interval=_RETRY_MILLISECONDS)
    # h11: httptools leaves the white space after a header's value, which RFC 9110 §5.5 says is no part of it.
    uvicorn.run(
        pinned(app, ServedEras(arguments.era)),
        host="127.0.0.1",
        port=arguments.port,
        http="h11",
        ws="none",
        log_level="warning",
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
