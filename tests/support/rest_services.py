"""REST services for tests: a scripted server that notes request lines, and an OpenAPI document of orders.

async with rest_service(answers) as service:
    await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from upstreams import Arrived, Upstream, serving

from ostiary_core.openapi.translation import translate

#: Orders of a shop: path, query and header parameters, a body, a schema that refers to itself.
ORDERS: Mapping[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Orders", "version": "1.2.0", "description": "Orders of the shop."},
    "components": {
        "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}},
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["items"],
                "properties": {
                    "id": {"type": "integer", "readOnly": True},
                    "items": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Item"}},
                },
            },
            "Item": {
                "type": "object",
                "required": ["sku"],
                "properties": {
                    "sku": {"type": "string"},
                    "quantity": {"type": "integer", "minimum": 1},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                },
            },
        },
    },
    "paths": {
        "/orders": {
            "get": {
                "operationId": "listOrders",
                "summary": "List orders",
                "parameters": [
                    {"name": "status", "in": "query", "schema": {"enum": ["open", "sent"]}},
                    {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "X-Tenant", "in": "header", "schema": {"type": "string"}},
                    {"name": "X-Api-Key", "in": "header", "schema": {"type": "string"}},
                ],
                "responses": {},
            },
            "post": {
                "operationId": "createOrder",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
                },
                "responses": {},
            },
        },
        "/orders/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {"operationId": "getOrder", "responses": {}},
            "delete": {"operationId": "deleteOrder", "responses": {}},
        },
    },
}

RestScript = Callable[[web.BaseRequest, Arrived], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class RestService:
    """A running REST service. ``lines`` are the request lines that arrived: method, space, path and query as sent."""

    upstream: Upstream
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its URL, without a path."""
        return self.upstream.url.removesuffix("/mcp")


@asynccontextmanager
async def rest_service(script: RestScript) -> AsyncIterator[RestService]:
    """Serve the script on a free port of loopback."""
    lines: list[str] = []

    async def noted(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        lines.append(f"{request.method} {request.raw_path}")
        return await script(request, arrived)

    async with serving(noted) as upstream:
        yield RestService(upstream, lines)


def described(document: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The part of a server's config that the operator makes of a document."""
    return {"openapi": translate(dict(document)).config, **more}
