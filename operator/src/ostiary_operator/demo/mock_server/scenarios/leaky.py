"""The leaky server: a CRM that tells agents more than they may know.

It is the upstream in `examples/masks`. The same values come as text, structured content, JSON within text, base64,
resources, links, prompts, progress, log messages and errors.
"""

import base64
import csv
import io
import json
from typing import Annotated, Any, Final

from mcp.server.context import ServerMiddleware
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp.types import (
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

from ostiary_core.version import __version__
from ostiary_operator.demo.mock_server.scenarios.customers import CUSTOMERS, NOTES, Customer
from ostiary_operator.demo.mock_server.sessions import Sessions
from ostiary_operator.demo.mock_server.tools.common import READ

_SERVER_NAME: Final = "leaky-crm"
_INSTRUCTIONS: Final = "Invented customers, to try out masks with. Their ids are 7, 8 and 9. Nothing here is real."
_LOGGER: Final = "crm"
_JSON: Final = "application/json"
_URI: Final = "crm://customers/"

CustomerId = Annotated[int, Field(ge=1, description="The customer's id: 7, 8 or 9.")]


def build(sessions: Sessions, *middleware: ServerMiddleware[Any]) -> MCPServer:
    """Return a new leaky server, whose messages pass these middlewares."""
    server = MCPServer(
        _SERVER_NAME,
        title="A CRM that tells too much",
        description="Invented customers for trying out masks.",
        instructions=_INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
        middleware=list(middleware),
    )
    _register_tools(server, sessions)
    _register_resources(server)
    _register_prompt(server)
    return server


def _register_tools(server: MCPServer, sessions: Sessions) -> None:
    @server.tool(title="Read a customer", annotations=READ)
    async def get_customer(id: CustomerId) -> Customer:  # noqa: A002  the word of CRMs
        """Read all that is known of one customer."""
        return _existing(id)

    @server.tool(title="Search the notes", annotations=READ, structured_output=False)
    async def search_notes(
        ctx: Context, query: Annotated[str, Field(max_length=200, description="Words to find; empty finds all.")] = ""
    ) -> list[TextContent]:
        """Search what was written about customers.

        A card number or an e-mail address finds its owner.
        """
        found = [each for each in CUSTOMERS if _is_about(each, query)]
        for number, customer in enumerate(found, 1):
            await ctx.report_progress(number, len(found), f"Searched the notes about {customer.email}")
            await sessions.log(ctx, "info", {"customer": customer.name, "card": customer.card}, logger=_LOGGER)
        ids = {customer.id for customer in found}
        return [TextContent(text=piece) for note in NOTES if note.customer_id in ids for piece in note.pieces]

    @server.tool(title="Export the customers", annotations=READ, structured_output=False)
    async def export_customers() -> CallToolResult:
        """Export all customers, as JSON, as a file and as links."""
        return CallToolResult(content=_exported(), _meta={"crm.example.com/contact": CUSTOMERS[0].email})


def _exported() -> list[ContentBlock]:
    rows = [customer.model_dump() for customer in CUSTOMERS]
    file = BlobResourceContents(
        uri=f"{_URI}export.csv", mime_type="text/csv", blob=base64.b64encode(_csv(rows).encode()).decode()
    )
    links = [
        ResourceLink(
            uri=f"{_URI}{each.id}",
            name=f"customer-{each.id}",
            title=each.name,
            description=f"{each.name}, {each.email}, card {each.card}",
            mime_type=_JSON,
        )
        for each in CUSTOMERS
    ]
    return [TextContent(text=json.dumps({"customers": rows}, indent=2)), EmbeddedResource(resource=file), *links]


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _register_resources(server: MCPServer) -> None:
    @server.resource(f"{_URI}7", name="customer-7", title="Ada Lovelace", mime_type=_JSON)
    async def first() -> str:
        """The record of the first customer."""
        return _existing(7).model_dump_json(indent=2)

    @server.resource(f"{_URI}{{id}}", name="customer", title="One customer", mime_type=_JSON)
    async def one(id: str) -> str:  # noqa: A002  the template's variable
        """The record of one customer, by its id."""
        found = next((each for each in CUSTOMERS if str(each.id) == id), None)
        if found is None:
            raise ResourceNotFoundError(f"There is no customer {id[:20]!r}; ask {CUSTOMERS[0].email}")
        return found.model_dump_json(indent=2)


def _register_prompt(server: MCPServer) -> None:
    @server.prompt(title="Summarise a customer")
    async def summarise_customer(
        id: Annotated[str, Field(description="The customer's id: 7, 8 or 9.")] = "7",  # noqa: A002  as in the tool
    ) -> list[Any]:
        """Summarise one customer for a colleague; the record comes along as a resource."""
        customer = next((each for each in CUSTOMERS if str(each.id) == id), CUSTOMERS[0])
        record = TextResourceContents(
            uri=f"{_URI}{customer.id}", mime_type=_JSON, text=customer.model_dump_json(indent=2)
        )
        words = f"Summarise {customer.name} ({customer.email}, {customer.phone}) in three sentences."
        return [words, EmbeddedResource(resource=record)]


def _is_about(customer: Customer, query: str) -> bool:
    """Return whether a query finds a customer: by any of its values, or by a word in a note."""
    wanted = query.casefold().strip()
    values = [str(value) for value in customer.model_dump().values()]
    notes = ["".join(note.pieces) for note in NOTES if note.customer_id == customer.id]
    return not wanted or any(wanted in text.casefold() for text in (*values, *notes))


def _existing(number: int) -> Customer:
    found = next((each for each in CUSTOMERS if each.id == number), None)
    if found is None:
        raise ToolError(f"There is no customer {number}. Ask {CUSTOMERS[0].email}, {CUSTOMERS[0].phone}.")
    return found
