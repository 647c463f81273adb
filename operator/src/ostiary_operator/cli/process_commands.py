"""The sub-commands that run a process of Ostiary in a cluster or next to it."""

from typing import Final

from ostiary_operator.cli.command import PACKAGE, Command

PROCESS_COMMANDS: Final = (
    Command(
        "gateway",
        f"{PACKAGE}.cli.gateway",
        "run a gateway with a compiled config",
        "Run one gateway process: it reads the config that the operator or `ostiary compile` wrote, from a mounted "
        "folder, from the API server, or from both, and serves it. It applies a new config without dropping a request; "
        "an invalid one changes nothing. SIGTERM drains it.",
        (
            (
                "ostiary gateway --config /etc/ostiary --keys /etc/ostiary-keys --host 0.0.0.0",
                "as in a Pod, from mounted ConfigMaps and a separately mounted Secret",
            ),
            (
                "ostiary gateway --config /etc/ostiary --gateway ostiary-system/default --watch",
                "also from the API server, which is faster",
            ),
        ),
        ("gateway",),
    ),
    Command(
        "operator",
        f"{PACKAGE}.cli.operator",
        "watch a cluster and deliver their config to its gateways",
        "Watch MCPProxies and MCPPolicies in a cluster, compile them, deliver the result to the gateways, and report "
        "the outcome in each object's status.",
        (
            ("ostiary operator --operator-namespace ostiary-system", "the whole cluster, with the Pod's credentials"),
            (
                "ostiary operator --operator-namespace ostiary-system --kubeconfig ~/.kube/config",
                "from this machine, with your credentials",
            ),
        ),
        ("operator",),
        arguments=f"{PACKAGE}.kube.options",  # its help needs no kopf
    ),
    Command(
        "mock-server",
        f"{PACKAGE}.demo.command",
        "run an MCP server with sample data, to try a gateway with",
        "Run the mock MCP server: 15 tools with sample data, resources and prompts, no credentials.",
        (
            ("ostiary mock-server", "http://localhost:7878/mcp"),
            ("ostiary mock-server --port 9878", "on another port"),
            ("ostiary mock-server --era legacy", "a server that knows sessions only, at http://localhost:7879/mcp"),
        ),
        ("demo",),
    ),
)
