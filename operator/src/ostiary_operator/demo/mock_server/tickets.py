"""The ticket server: a second MCP server of the mock process, with two tools.

One reads tickets, the other deletes them. It is the upstream in `examples/access-tiers`.
"""

from typing import Annotated, Any, Literal

from mcp.server.context import ServerMiddleware
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from ostiary_core.version import __version__
from ostiary_operator.demo.mock_server.records import SampleRecord
from ostiary_operator.demo.mock_server.tools.common import DELETE, READ

PATH = "/tickets/mcp"
_SERVER_NAME = "ticket-server"
_INSTRUCTIONS = """\
Support tickets to try out access rules with. Their ids are 1 to 5. Nothing here is real, and a deleted ticket is back
when the server starts again."""

TicketId = Annotated[int, Field(ge=1, description="The ticket's id: 1 to 5.")]


class Ticket(SampleRecord):
    """A support ticket."""

    id: int = Field(description="The ticket's id.")
    subject: str = Field(description="Subject.")
    customer: str = Field(description="Full name of the customer.")
    status: Literal["open", "closed"] = Field(description="Whether support still works on it.")


class DeletedTicket(SampleRecord):
    """What a deletion removed."""

    deleted: Ticket = Field(description="The ticket as it was.")


_TICKETS = (
    Ticket(id=1, subject="Cannot log in after the update", customer="Ada Lovelace", status="open"),
    Ticket(id=2, subject="Invoice has the wrong address", customer="Grace Hopper", status="open"),
    Ticket(id=3, subject="Keyboard arrived with a missing key", customer="Alan Turing", status="closed"),
    Ticket(id=4, subject="How do I export my data?", customer="Barbara Liskov", status="open"),
    Ticket(id=5, subject="Sent twice, please delete", customer="Edsger Dijkstra", status="closed"),
)


def build(*middleware: ServerMiddleware[Any]) -> MCPServer:
    """Return a new ticket server, whose messages pass these middlewares."""
    server = MCPServer(
        _SERVER_NAME,
        title="Ticket server",
        description="Sample support tickets for trying out access rules.",
        instructions=_INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
        middleware=list(middleware),
    )
    tickets = {ticket.id: ticket for ticket in _TICKETS}
    _register(server, tickets)
    return server


def _register(server: MCPServer, tickets: dict[int, Ticket]) -> None:
    @server.tool(title="Read a ticket", annotations=READ)
    async def read_ticket(ticket_id: TicketId) -> Ticket:
        """Read one support ticket by id."""
        return _existing(tickets, ticket_id)

    @server.tool(title="Delete a ticket", annotations=DELETE)
    async def delete_ticket(ticket_id: TicketId) -> DeletedTicket:
        """Delete one support ticket. This cannot be undone."""
        ticket = _existing(tickets, ticket_id)
        del tickets[ticket_id]
        return DeletedTicket(deleted=ticket)


def _existing(tickets: dict[int, Ticket], ticket_id: int) -> Ticket:
    if ticket_id not in tickets:
        raise ToolError(f"There is no ticket {ticket_id}.")
    return tickets[ticket_id]
