"""``ostiary doctor``: runs a chain of checks, and names the first that fails.

Each check is a *link* of the chain: it depends on those before it. The doctor reads the cluster with the user's rights,
queries replicas that it can reach, and connects to the endpoint as a client would. A check that lacks a right reports
that, and the next one runs. It writes nothing, and shows no Secret.

chain              the order of the checks, and their output; ``diagnosis`` has the types of a case and of a result
installation, operators, nodes    the API server, the definitions and the operator; clusters without nodes
resource_checks    the MCPProxy itself: whether it exists, is accepted and programmed
gateway_checks, running    the gateways, their settings and configs; what each replica runs
endpoint           the published URL, the gateway's response, and the MCP server
"""
