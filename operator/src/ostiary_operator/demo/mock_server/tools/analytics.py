"""The category `analytics`: a summary, and page views."""

from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from ostiary_operator.demo.mock_server.records import PageViews
from ostiary_operator.demo.mock_server.sample_store import Store
from ostiary_operator.demo.mock_server.tools.common import READ, category

_META = category("analytics")

Days = Annotated[int, Field(ge=1, le=30, description="Over how many of the last days.")]


class Summary(BaseModel):
    """The numbers at a glance."""

    days: int = Field(description="Over how many days views were counted.")
    users: int = Field(description="How many users there are.")
    posts: int = Field(description="How many posts there are.")
    page_views: int = Field(description="Views of all pages.")
    top_page: str = Field(description="The page with the most views.")
    stock_value: float = Field(description="What the products in stock are worth, in euros.")


class PageViewList(BaseModel):
    """Page views, page by page."""

    days: int = Field(description="Over how many days.")
    pages: list[PageViews] = Field(description="The pages, the most viewed first.")


def register(server: MCPServer, *, store: Store) -> None:
    """Add the two tools of this category."""

    @server.tool(title="Analytics summary", annotations=READ, meta=_META)
    async def get_analytics_summary(days: Days = 7) -> Summary:
        """Sum up users, posts, page views and stock."""
        views = {path: sum(daily[-days:]) for path, daily in store.page_views.items()}
        return Summary(
            days=days,
            users=len(store.users()),
            posts=len(store.posts()),
            page_views=sum(views.values()),
            top_page=max(views, key=lambda path: views[path]),
            stock_value=round(sum(product.price * product.stock for product in store.products), 2),
        )

    @server.tool(title="Page views", annotations=READ, meta=_META)
    async def get_page_views(
        path: Annotated[str | None, Field(max_length=100, description="Only this page, such as /docs.")] = None,
        days: Days = 7,
    ) -> PageViewList:
        """Count the views of each page, day by day."""
        if path is not None and path not in store.page_views:
            raise ToolError(f"There is no page {path}. The pages are {', '.join(store.page_views)}.")
        pages = [_page(name, daily[-days:]) for name, daily in store.page_views.items() if path in {None, name}]
        return PageViewList(days=days, pages=sorted(pages, key=lambda page: -page.total))


def _page(path: str, daily: list[int]) -> PageViews:
    return PageViews(path=path, daily=daily, total=sum(daily))
