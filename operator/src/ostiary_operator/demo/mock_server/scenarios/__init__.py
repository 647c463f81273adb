"""The servers of the scenarios: leaky, poisoned and rug-pull.

customers    what the leaky server tells
leaky        a CRM that tells too much
poisoned     notes with instructions for the agent that reads them
rug_pull     a calculator that changes its tools after the review
"""

from typing import Any

from mcp.server.context import ServerMiddleware
from mcp.server.mcpserver import MCPServer

from ostiary_operator.demo.mock_server.scenarios import leaky, poisoned, rug_pull
from ostiary_operator.demo.mock_server.sessions import Sessions
from ostiary_operator.demo.scenarios import Scenario


def build(scenario: Scenario, sessions: Sessions, *middleware: ServerMiddleware[Any]) -> MCPServer:
    """Return a new server of a scenario, whose messages pass these middlewares."""
    if scenario is Scenario.LEAKY:
        return leaky.build(sessions, *middleware)
    return poisoned.build(*middleware) if scenario is Scenario.POISONED else rug_pull.build(*middleware)
