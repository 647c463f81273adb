"""The sub-commands: name, help text and module of each.

It imports nothing else, so that --help is fast.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Command:
    """One sub-command.

    ``module`` has ``run(arguments) -> int`` and, unless ``arguments`` names another module for it,
    ``add_arguments(parser)``.

    ``extras`` are the extras of the distribution that it needs; ``examples`` are pairs of command line and effect.
    """

    name: str
    module: str
    summary: str
    description: str
    examples: tuple[tuple[str, str], ...]
    extras: tuple[str, ...] = ()
    arguments: str = ""

    @property
    def epilog(self) -> str:
        """The examples as help shows them."""
        return "examples:\n" + "\n".join(f"  # {what}\n  {line}" for line, what in self.examples)


_PACKAGE: Final = "ostiary_operator"

COMMANDS: Final = (
    Command(
        "run",
        f"{_PACKAGE}.cli.run",
        "serve a folder of MCPProxies and MCPPolicies on this machine",
        "Serve the MCPProxies in YAML files under the MCPPolicies beside them: the same compiler and the same "
        "gateway as in a cluster, without one. An edited file is live when it is saved; a broken one is explained,"
        " and what was live before stays. The mock MCP server is started where a proxy's server is localhost:7878.",
        (
            ("ostiary run", "serve examples/quickstart"),
            ("ostiary run my-proxies/", "serve the *.yaml files of a folder"),
            ("PORT=9080 MOCK_PORT=9878 ostiary run", "on other ports"),
        ),
        ("gateway", "demo"),
    ),
    Command(
        "validate",
        f"{_PACKAGE}.cli.validate",
        "judge MCPProxies, MCPPolicies and gateway settings in YAML files",
        "Judge YAML files as a cluster would: each object by itself, then all of them together. Every problem is "
        "told with file, line, column, field and remedy. The exit code is 0 if all is well, 1 if there are "
        "problems, and 2 if the command was used wrongly.",
        (
            ("ostiary validate deploy/", "all *.yaml and *.yml files below a folder"),
            ("helm template my-chart | ostiary validate -", "what another tool renders"),
            ("ostiary validate -o json deploy/", "an array of objects, for programs"),
        ),
    ),
    Command(
        "compile",
        f"{_PACKAGE}.cli.compile",
        "compile YAML files into the folder that a gateway outside a cluster reads",
        "Compile MCPProxies, MCPPolicies and the settings of one gateway into the folder that `ostiary gateway "
        "--config` reads: on virtual machines and in compose files, where no operator writes it. The folder changes in "
        "one step and only if all files are good; a running gateway takes the change over without dropping a request. "
        "Keys are made once, kept, and replaced as they age. The exit code is 0 if all is well, 1 if the files have "
        "problems, and 2 if the command was used wrongly.",
        (
            ("ostiary compile doors/ --out /var/lib/ostiary", "once, as before a start or a reload"),
            ("ostiary gateway --config /var/lib/ostiary", "what serves it"),
            ("ostiary compile doors/ --out /var/lib/ostiary --watch", "and again whenever a file changes"),
        ),
    ),
    Command(
        "status",
        f"{_PACKAGE}.cli.status",
        "say whether all doors of a cluster work, and why not",
        "Look at a cluster: gateways, MCPProxies with their URL, replicas, digest and policies, MCPPolicies with what "
        "they govern; and of everything that is not ready why, and what to do. The right to view MCPProxies and "
        "MCPPolicies is enough. The exit code is 0 if all is ready, 1 if something is not, and 2 if the command was "
        "used wrongly or the cluster could not be asked.",
        (
            ("ostiary status", "of the namespace of your kubeconfig's context"),
            ("ostiary status -A", "of the whole cluster"),
            ("ostiary status --watch", "and again whenever something changed"),
            ("ostiary status -n sales -o json", "one object for programs; its field `ready` is the exit code"),
        ),
        ("operator",),
    ),
    Command(
        "get",
        f"{_PACKAGE}.cli.get",
        "list MCPProxies, MCPPolicies and gateways of a cluster",
        "List what there is, as kubectl does, with what its columns cannot say: the policies, the reason, and with -o "
        "wide the digest that replicas report when they run this version. The exit code is 0, 1 if a name does not "
        "exist, and 2 if the command was used wrongly or the cluster could not be asked.",
        (
            ("ostiary get", "everything in the namespace of your kubeconfig's context"),
            ("ostiary get proxies -A -o wide", "the MCPProxies of all namespaces, with digests and servers"),
            ("ostiary get proxies --watch", "and then each that changes, a row each"),
            ("ostiary get policies quickstart -o yaml", "one MCPPolicy as the API server has it"),
            ("ostiary get gateways -n ostiary-system", "the shared gateways"),
        ),
        ("operator",),
    ),
    Command(
        "doctor",
        f"{_PACKAGE}.cli.doctor",
        "walk from an MCPProxy to an answer, and name the first broken link",
        "Walk the chain from a resource to an answer: API server, definitions, operator, gateways and their settings, "
        "the resource's conditions and policies, the config that was delivered, what each replica runs, the URL, an "
        "MCP handshake through the door, and the server behind it. The walk ends at the first broken link, with the "
        "remedy. What you may not look at is said, and passed over. It writes nothing. The exit code is 0 if no link "
        "is broken, 1 if one is, and 2 if the command was used wrongly or no API server is known.",
        (
            ("ostiary doctor mock-mcp-server", "one MCPProxy of the namespace of your kubeconfig's context"),
            ("ostiary doctor -n sales", "each MCPProxy of a namespace"),
            (
                "ostiary doctor crm -n sales --via http://127.0.0.1:8080",
                "through a port that `kubectl port-forward` opened",
            ),
            ("ostiary doctor crm -n sales --bearer-file token", "knock with a token"),
        ),
        ("operator",),
    ),
    Command(
        "gateway",
        f"{_PACKAGE}.cli.gateway",
        "run a gateway on a config that an operator wrote",
        "Run one gateway process: it reads the config that the operator compiled, from a mounted folder, from the "
        "API server, or from both, and serves it. A new config is taken over without dropping a request; a bad one"
        " changes nothing. SIGTERM drains it.",
        (
            (
                "ostiary gateway --config /etc/ostiary --keys /etc/ostiary-keys --host 0.0.0.0",
                "as in a pod, from mounted ConfigMaps and a Secret mounted apart",
            ),
            (
                "ostiary gateway --config /etc/ostiary --gateway ostiary-system/default --watch",
                "and from the API, faster",
            ),
        ),
        ("gateway",),
    ),
    Command(
        "operator",
        f"{_PACKAGE}.operator_command",
        "watch a cluster and give its gateways their config",
        "Watch MCPProxies and MCPPolicies in a cluster, compile them, deliver the result to the gateways, and say "
        "in each object's status what came of it.",
        (
            ("ostiary operator --operator-namespace ostiary-system", "the whole cluster, with the pod's credentials"),
            (
                "ostiary operator --operator-namespace ostiary-system --kubeconfig ~/.kube/config",
                "from this machine, with yours",
            ),
        ),
        ("operator",),
        arguments=f"{_PACKAGE}.kube.options",  # its help needs no kopf
    ),
    Command(
        "mock-server",
        f"{_PACKAGE}.demo.command",
        "run an MCP server with sample data, to put behind a door",
        "Run the mock MCP server: 15 tools with sample data, resources and prompts, no credentials.",
        (
            ("ostiary mock-server", "http://localhost:7878/mcp"),
            ("ostiary mock-server --port 9878", "on another port"),
        ),
        ("demo",),
    ),
    Command(
        "crds",
        f"{_PACKAGE}.cli.crds",
        "print the CustomResourceDefinitions, or write them to files",
        "Print the CustomResourceDefinitions of MCPProxy and MCPPolicy, generated from the models; or write them, "
        "JSON Schemas of both kinds for editors, and the reference of their fields, to files.",
        (
            ("ostiary crds | kubectl apply --server-side -f -", "install them"),
            ("ostiary crds --json-schema schemas", "have an editor check and complete both kinds"),
            (
                "ostiary crds --write crds --json-schema schemas --docs docs/reference",
                "write the files of this repository",
            ),
        ),
    ),
)

#: Packages that only an extra installs. If one is missing, the command says how to install it.
OPTIONAL_PACKAGES: Final = frozenset(
    {
        "aiohttp",
        "cryptography",
        "kopf",
        "kubernetes",
        "mcp",
        "mcp_types",
        "opentelemetry",
        "prometheus_client",
        "starlette",
        "uvicorn",
    }
)
