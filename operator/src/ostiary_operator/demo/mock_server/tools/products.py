"""The category `products`: list and search."""

from typing import Annotated

from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel, Field

from ostiary_operator.demo.mock_server.records import Product
from ostiary_operator.demo.mock_server.sample_store import Store
from ostiary_operator.demo.mock_server.tools.common import READ, Limit, category

_META = category("products")


class ProductList(BaseModel):
    """Products that were asked for."""

    products: list[Product] = Field(description="The products, in the order of their ids.")
    total: int = Field(description="How many matched.")


def register(server: MCPServer, *, store: Store) -> None:
    """Add the two tools of this category."""

    @server.tool(title="List products", annotations=READ, meta=_META)
    async def get_products(
        category: Annotated[str | None, Field(max_length=50, description="Only this category.")] = None,
        limit: Limit = 20,
    ) -> ProductList:
        """List the products with prices and stock."""
        found = [product for product in store.products if category in {None, product.category}]
        return ProductList(products=found[:limit], total=len(found))

    @server.tool(title="Search products", annotations=READ, meta=_META)
    async def search_products(
        query: Annotated[str, Field(min_length=1, max_length=100, description="Part of a name or category.")],
        max_price: Annotated[float | None, Field(ge=0, description="Only products up to this price.")] = None,
        limit: Limit = 20,
    ) -> ProductList:
        """Search the products by name or category, and by price."""
        found = [product for product in store.products if _matches(product, query, max_price)]
        return ProductList(products=found[:limit], total=len(found))


def _matches(product: Product, query: str, max_price: float | None) -> bool:
    text = f"{product.name} {product.category}".casefold()
    return query.casefold() in text and (max_price is None or product.price <= max_price)
