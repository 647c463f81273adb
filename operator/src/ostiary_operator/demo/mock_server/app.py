"""Builds the mock, ticket, weather and trip servers, and the ASGI application of all four."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from mcp.server.mcpserver import MCPServer
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import (
    CompleteRequestParams,
    SetLevelRequestParams,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    UnsubscribeRequestParams,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ostiary_core.version import __version__
from ostiary_operator.demo.mock_server import (
    orders,
    prompts,
    sample_resources,
    scenarios,
    tickets,
    tools,
    trips,
    weather,
)
from ostiary_operator.demo.mock_server.middleware import Activity, RequestsInFlight, ServerMark
from ostiary_operator.demo.mock_server.one_era import pinned
from ostiary_operator.demo.mock_server.sample_store import Store
from ostiary_operator.demo.mock_server.sessions import Sessions, Updates
from ostiary_operator.demo.scenarios import Scenario
from ostiary_operator.demo.served_eras import ServedEras

SERVER_NAME = "mock-mcp-server"
PATH = "/mcp"
_MAX_SESSIONS = 1000
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_INSTRUCTIONS = """\
Sample data to try things out with, in six categories: users, posts, products, analytics, utilities and streaming.
Nothing here is real, and everything is forgotten when the server stops."""


@dataclass(frozen=True, slots=True)
class MockServerParts:
    """The parts of a mock server that the caller must run and close."""

    app: ASGIApp
    """Serves `/mcp`, `/tickets/mcp`, `/weather/mcp` and `/trips/mcp` while `running()` is entered.

    It also serves `/healthz`, and the REST service of orders at `/v1/orders`.
    """

    sessions: tuple[StreamableHTTPSessionManager, ...]
    """Those of all servers."""

    listeners: ListenHandler
    """The open `subscriptions/listen` streams; its `close()` ends them in order."""

    calls: RequestsInFlight
    """The requests in flight; its `end()` answers them with an error."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the session managers of all servers."""
        async with AsyncExitStack() as stack:
            for manager in self.sessions:
                await stack.enter_async_context(manager.run())
            yield


def build(
    *, allowed_hosts: tuple[str, ...] = (), eras: ServedEras = ServedEras.BOTH, scenario: Scenario | None = None
) -> MockServerParts:
    """Return a new mock server with the sample data, with ticket, weather and trip servers.

    Args:
        scenario: serves the server of a scenario alone, in place of all of these.
        eras: which revisions it serves. Its results bear the name that belongs to them.
        allowed_hosts: accepted Host names besides the loopback ones, each with or without a port.
    """
    if scenario is not None:
        return _of_scenario(scenario, allowed_hosts, eras)
    bus = InMemorySubscriptionBus()
    activity, calls, mark = Activity(), RequestsInFlight(), ServerMark(eras.server)
    server = MCPServer(
        SERVER_NAME,
        title="Mock MCP server",
        description="Sample users, posts, products and analytics for trying out a gateway.",
        instructions=_INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
        subscriptions=bus,
        middleware=[activity, calls, mark, prompts.refuse_bad_prompts],
    )
    sessions = Sessions(limit=_MAX_SESSIONS)
    store = Store()
    tools.register(server, store=store, updates=Updates(bus=bus, sessions=sessions), sessions=sessions)
    sample_resources.register(server, store=store, activity=activity)
    prompts.register(server, store)
    others = {each.PATH: each.build(calls, mark) for each in (tickets, weather, trips)}
    servers = {PATH: server, **others}
    app = pinned(_application(servers, allowed_hosts), eras)
    listeners = ListenHandler(bus)
    _add_handlers(server, sessions=sessions, listeners=listeners, completer=prompts.Completer(store))
    for each in others.values():
        _add_listen_handler(each, listeners)
    managers = tuple(each.session_manager for each in servers.values())
    return MockServerParts(app=app, sessions=managers, listeners=listeners, calls=calls)


def _of_scenario(scenario: Scenario, allowed_hosts: tuple[str, ...], eras: ServedEras) -> MockServerParts:
    """Return the server of a scenario, at the path of the mock server."""
    calls, listeners = RequestsInFlight(), ListenHandler(InMemorySubscriptionBus())
    sessions = Sessions(limit=_MAX_SESSIONS)
    server = scenarios.build(scenario, sessions, calls, ServerMark(scenario.server), prompts.refuse_bad_prompts)
    app = pinned(_application({PATH: server}, allowed_hosts), eras)
    _add_listen_handler(server, listeners)
    server.session_manager.app.add_request_handler("logging/setLevel", SetLevelRequestParams, sessions.set_level)
    return MockServerParts(app=app, sessions=(server.session_manager,), listeners=listeners, calls=calls)


def _application(servers: Mapping[str, MCPServer], allowed_hosts: tuple[str, ...]) -> Starlette:
    """Return an application that serves each of the servers at its path, and `/healthz`."""
    security = _security(allowed_hosts)
    routes = [
        route
        for path, server in servers.items()
        for route in server.streamable_http_app(
            streamable_http_path=path, max_sessions=_MAX_SESSIONS, transport_security=security
        ).routes
    ]
    return Starlette(routes=[*routes, *orders.routes(), Route("/healthz", _healthz)])


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok")


def _add_handlers(
    server: MCPServer, *, sessions: Sessions, listeners: ListenHandler, completer: prompts.Completer
) -> None:
    """Add handlers for methods that the SDK's high-level server does not support.

    They also make it declare the capabilities `completions`, `logging` and `resources.subscribe`.
    """
    protocol = server.session_manager.app
    protocol.add_request_handler("completion/complete", CompleteRequestParams, completer.complete)
    protocol.add_request_handler("logging/setLevel", SetLevelRequestParams, sessions.set_level)
    protocol.add_request_handler("resources/subscribe", SubscribeRequestParams, sessions.subscribe)
    protocol.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, sessions.unsubscribe)
    _add_listen_handler(server, listeners)


def _add_listen_handler(server: MCPServer, listeners: ListenHandler) -> None:
    """Replace the SDK's own handler, which cannot be closed from outside."""
    protocol = server.session_manager.app
    protocol.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, listeners)


def _security(allowed_hosts: tuple[str, ...]) -> TransportSecuritySettings:
    """Return the SDK's settings against DNS rebinding: the allowed Host and Origin headers."""
    hosts = [form for name in (*_LOOPBACK, *allowed_hosts) for form in (name, f"{name}:*")]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=hosts,
        allowed_origins=[f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")],
    )
