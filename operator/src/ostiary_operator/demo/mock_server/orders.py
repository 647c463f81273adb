"""A REST service of orders, which speaks no MCP: the upstream in `examples/openapi`.

Its description is the OpenAPI document of that example. Nothing is real, and a new order is forgotten when the process
ends.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

PATH: Final = "/v1/orders"
#: Orders that are kept; a new one beyond them is refused.
_MOST: Final = 1000
_LARGEST_BODY: Final = 64 * 1024
_PRICE: Final = 20


class _Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sku: str = Field(min_length=1, max_length=32)
    quantity: int = Field(default=1, ge=1, le=100)


class _NewOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    customer: str = Field(min_length=1, max_length=64)
    items: list[_Item] = Field(min_length=1, max_length=20)


@dataclass(frozen=True, slots=True)
class _Order:
    id: int
    customer: str
    status: str
    items: list[dict[str, Any]] = field(default_factory=list)


class _Orders:
    """The orders of one process, by id."""

    def __init__(self) -> None:
        first = ((1, "Ada Lovelace", "open"), (2, "Grace Hopper", "sent"), (3, "Alan Turing", "open"))
        self._orders = {
            number: _Order(number, customer, status, [{"sku": f"book-{number}", "quantity": number}])
            for number, customer, status in first
        }
        self._last = len(first)

    async def list(self, request: Request) -> Response:
        """Return the orders, of one status where that is asked for."""
        status = request.query_params.get("status")
        found = [asdict(order) for order in self._orders.values() if status in (None, order.status)]
        return JSONResponse({"orders": found})

    async def create(self, request: Request) -> Response:
        """Take a new order."""
        body = await request.body()
        if len(body) > _LARGEST_BODY or len(self._orders) >= _MOST:
            return _problem(413, "there is no room for this order")
        try:
            new = _NewOrder.model_validate_json(body)
        except ValidationError as error:
            return _problem(
                422, "; ".join(f"{'/'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            )
        self._last += 1
        order = _Order(self._last, new.customer, "open", [item.model_dump() for item in new.items])
        self._orders[order.id] = order
        return JSONResponse(asdict(order), 201)

    async def get(self, order: _Order) -> Response:
        """Return one order."""
        return JSONResponse(asdict(order))

    async def cancel(self, order: _Order) -> Response:
        """Delete one order."""
        del self._orders[order.id]
        return Response(status_code=204)

    async def invoice(self, order: _Order) -> Response:
        """Return the invoice of one order, as text."""
        lines = [f"{item['quantity']} x {item['sku']} at {_PRICE}" for item in order.items]
        total = sum(item["quantity"] for item in order.items) * _PRICE
        return PlainTextResponse(
            "\n".join((f"Invoice of order {order.id} for {order.customer}", *lines, f"Sum: {total}"))
        )

    def of_one(self, handler: Callable[[_Order], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Return a handler of requests that name an order; one that does not exist is not found."""

        async def found(request: Request) -> Response:
            number = request.path_params["id"]
            order = self._orders.get(number)
            return await handler(order) if order is not None else _problem(404, f"there is no order {number}")

        return found


def _problem(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)


def routes() -> list[Route]:
    """Return the routes of a new service."""
    orders = _Orders()
    return [
        Route(PATH, orders.list, methods=["GET"]),
        Route(PATH, orders.create, methods=["POST"]),
        Route(f"{PATH}/{{id:int}}", orders.of_one(orders.get), methods=["GET"]),
        Route(f"{PATH}/{{id:int}}", orders.of_one(orders.cancel), methods=["DELETE"]),
        Route(f"{PATH}/{{id:int}}/invoice", orders.of_one(orders.invoice), methods=["GET"]),
    ]
