"""The sub-commands that ask a cluster or a live gateway."""

from typing import Final

from ostiary_operator.cli.command import PACKAGE, Command

CLUSTER_COMMANDS: Final = (
    Command(
        "status",
        f"{PACKAGE}.cli.status",
        "show whether all MCPProxies of a cluster work, and why not",
        "Show the state of a cluster: gateways, MCPProxies with their URL, replicas, digest and policies, and "
        "MCPPolicies with their targets. For everything that is not ready it shows the cause and the remedy. The right "
        "to view MCPProxies and MCPPolicies is enough. The exit code is 0 if everything is ready, 1 if something is "
        "not, and 2 if the arguments are wrong or the API server cannot be reached.",
        (
            ("ostiary status", "the namespace of your kubeconfig's context"),
            ("ostiary status -A", "the whole cluster"),
            ("ostiary status --watch", "show it again whenever something changes"),
            ("ostiary status -n sales -o json", "one object for programs; the exit code follows its field `ready`"),
        ),
        ("operator",),
    ),
    Command(
        "get",
        f"{PACKAGE}.cli.get",
        "list MCPProxies, MCPPolicies and gateways of a cluster",
        "List objects like kubectl, with columns that kubectl cannot show: the policies, the reason, and with -o wide "
        "the digest that replicas report when they run this version. The exit code is 0, 1 if a name does not exist, "
        "and 2 if the arguments are wrong or the API server cannot be reached.",
        (
            ("ostiary get", "everything in the namespace of your kubeconfig's context"),
            ("ostiary get proxies -A -o wide", "the MCPProxies of all namespaces, with digests and servers"),
            ("ostiary get proxies --watch", "the MCPProxies, and then a row for each change"),
            ("ostiary get policies quickstart -o yaml", "one MCPPolicy as the API server returns it"),
            ("ostiary get gateways -n ostiary-system", "the shared gateways"),
        ),
        ("operator",),
    ),
    Command(
        "doctor",
        f"{PACKAGE}.cli.doctor",
        "check every step from an MCPProxy to a response, and name the first failure",
        "Check the chain from a resource to a response: API server, CRDs, operator, gateways and their settings, the "
        "resource's conditions and policies, the config that was delivered, what each replica runs, the URL, an MCP "
        "handshake through the gateway, and the server behind it. It stops at the first broken link and prints the "
        "remedy. Links that you have no right to read are reported and skipped. It writes nothing. The exit code is 0 "
        "if no link is broken, 1 if one is, and 2 if the arguments are wrong or no API server is configured.",
        (
            ("ostiary doctor mock-mcp-server", "one MCPProxy of the namespace of your kubeconfig's context"),
            ("ostiary doctor -n sales", "each MCPProxy of a namespace"),
            ("ostiary doctor crm -n sales --via http://127.0.0.1:8080", "through a port of `kubectl port-forward`"),
            ("ostiary doctor crm -n sales --bearer-file token", "send a token"),
        ),
        ("operator",),
    ),
    Command(
        "discover",
        f"{PACKAGE}.cli.discover",
        "print MCPProxies for the MCP servers of other operators that have none",
        "Look for the MCP servers that other operators manage (mcp.x-k8s.io, ToolHive, kmcp, and each --server-kind), "
        "and print an MCPProxy with serverRef for each that no MCPProxy leads to. Nothing is written to the cluster: "
        "read what is printed, then apply it. What no gateway can use is named on stderr. The right to list these "
        "kinds and MCPProxies is enough; kinds that are not installed are skipped. The exit code is 0, or 2 if the "
        "arguments are wrong or the API server cannot be reached.",
        (
            ("ostiary discover", "the namespace of your kubeconfig's context"),
            ("ostiary discover -A > proxies.yaml", "the whole cluster, into a file to read and apply"),
            ("ostiary discover -n crm --into gateway", "MCPProxies in another namespace, with ReferenceGrants"),
        ),
        ("operator",),
    ),
    Command(
        "catalogue",
        f"{PACKAGE}.cli.catalogue",
        "show what a caller sees of an MCPProxy, and why not the rest",
        "Show the tools, resources and prompts that the servers of an MCPProxy list, under the names that the MCPProxy "
        "gives them: whether a caller sees and may use each of them, which rule decides, and what has no place in the "
        "catalogue of several servers. Names are those that have passed the gateway in a list; nothing is asked of a "
        "server. The token of the gateway's admin port is needed, as for `ostiary logs`. The exit code is 0, 1 if a "
        "replica did not answer, and 2 if it cannot be known.",
        (
            ("ostiary catalogue tools", "the anonymous caller, at an `ostiary run` on this machine or in the cluster"),
            ("ostiary catalogue records --consumer eu-agent --seen", "only what a consumer with an API key sees"),
            ("ostiary catalogue crm -n sales --as claims.json", "a caller with a token"),
        ),
        ("operator",),
    ),
    Command(
        "traffic",
        f"{PACKAGE}.cli.traffic",
        "show what passed the gateways: totals, durations, methods, tools and errors",
        "Show the traffic of one MCPProxy or of all: calls, errors and denials, average, longest and usual durations, "
        "what of it was spent in the gateway, methods and outcomes over time, and the most used tools, resources and "
        "prompts. These are the numbers of the page /traffic of the console. Gateways keep them in memory: 15 minutes "
        "in steps of 10 seconds, a day in quarters of an hour. The right to read the Secret ostiary-GATEWAY.evidence "
        "of the gateway, or its own Secret, is needed. The exit code is 0, 1 if a replica did not answer, and 2 if "
        "none did.",
        (
            ("ostiary traffic", "everything in the last 15 minutes"),
            ("ostiary traffic weather -n sales --range 24h", "one MCPProxy, the last day"),
            ("ostiary traffic --watch", "again whenever it changes"),
            ("ostiary traffic -o json", "an object for programs"),
        ),
        ("operator",),
    ),
    Command(
        "calls",
        f"{PACKAGE}.cli.calls",
        "show the latest calls: who called what, how it ended, and why",
        "Show the latest calls of one MCPProxy or of all, and with --watch each one as it comes: time, outcome, "
        "MCPProxy, tool or method, caller, duration, and the policy and rule that decided. There are no arguments and "
        "no results in it: `ostiary logs` shows them while a debug capture runs. Each replica keeps the last 4,096. "
        "The right to read the Secret ostiary-GATEWAY.evidence of the gateway, or its own Secret, is needed: it is the "
        "right to see who calls every MCPProxy at that gateway. The exit code is 0, 1 if a replica did not answer, and "
        "2 if none did.",
        (
            ("ostiary calls", "the latest 50"),
            ("ostiary calls weather -n sales --watch", "of one MCPProxy, and then each new one"),
            ("ostiary calls --outcome denied --outcome hidden", "only those that policies refused"),
            ("ostiary calls --watch -o json", "a JSON object for each call"),
        ),
        ("operator",),
    ),
    Command(
        "would-deny",
        f"{PACKAGE}.cli.would_deny",
        "show what policies in Shadow mode would have stopped",
        "Show what MCPPolicies with mode Shadow would have denied since gateways began to record: by rule, by tool or "
        "other name, and by caller. --allow prints MCPPolicies that allow all of it, to read and commit. Each replica "
        "keeps 2,048 distinct refusals. The right to read the Secret ostiary-GATEWAY.evidence of the gateway, or its "
        "own Secret, is needed. The exit code is 0, 1 if a replica did not answer, and 2 if none did.",
        (
            ("ostiary would-deny", "of all MCPProxies"),
            ("ostiary would-deny weather -n sales", "of one MCPProxy"),
            ("ostiary would-deny weather --allow > allow.yaml", "policies that allow it, as a file to commit"),
        ),
        ("operator",),
    ),
    Command(
        "limits",
        f"{PACKAGE}.cli.limits",
        "show what callers have used of limits, and what is left",
        "Show for each limit of an MCPPolicy what each caller, tool or other key has used in this window, how much is "
        "left and when all of it is available again. What several replicas counted is added up; where they share a "
        "store, it is one number. Keys that have used nothing are not listed. The token of the gateway's admin port is "
        "needed, as for `ostiary logs`. The exit code is 0, 1 if a replica did not answer, and 2 if none did.",
        (
            ("ostiary limits", "all limits of the gateways of your namespace, and of the shared ones"),
            ("ostiary limits weather -n sales --watch", "of one MCPProxy, again whenever something changes"),
            ("ostiary limits -o json", "an object for programs"),
        ),
        ("operator",),
    ),
    Command(
        "logs",
        f"{PACKAGE}.cli.logs",
        "show the captured exchanges of an MCPProxy",
        "Show the latest exchanges between the callers of an MCPProxy and its server: direction, method, arguments, "
        "result, decision and duration, without secrets. Gateways keep them in memory while spec.debugCapture of the "
        "MCPProxy is set and its end has not come. The token of the gateway's admin port is needed: the right to read "
        "the gateway's Secret is the right to read the exchanges of every MCPProxy at that gateway. The exit code is "
        "0, 1 if nothing is captured, and 2 if no gateway could be asked.",
        (
            ("ostiary logs weather", "what the gateways have kept"),
            ("ostiary logs weather -n sales -f", "go on with each new exchange"),
            ("ostiary logs weather --since 10m -o json", "the last ten minutes, an object per line"),
            ("ostiary logs weather --admin http://127.0.0.1:8081", "through a port of `kubectl port-forward`"),
        ),
        ("operator",),
    ),
    Command(
        "whoami",
        f"{PACKAGE}.cli.whoami",
        "say who a live gateway takes a caller for, and what it sees and may use",
        "Send a credential to the endpoint of an MCPProxy, and print who the gateway takes its sender for (consumer, "
        "groups, scopes, method and expiry), which tools, resources and prompts it sees, and whether it may use them. "
        "Nothing is called. The exit code is 0 if the caller is admitted, 1 if it is refused, and 2 without an answer.",
        (
            ("ostiary whoami http://localhost:8080/tickets/mcp", "without a credential"),
            ("ostiary whoami --key-file key.txt https://mcp.example.com/tickets/mcp", "with an API key"),
        ),
        ("gateway",),
    ),
    Command(
        "console",
        f"{PACKAGE}.cli.console",
        "serve pages about the MCPProxies of a cluster, for one person or for several",
        "Serve the console: pages for people that only read. On your machine it uses your kubeconfig and your rights, "
        "and is at a link that works once; traffic and calls are shown if you may read the evidence of the gateways. "
        "With --oidc-issuer or --accept-tokens it is for several people, who sign in and see what the API server "
        "permits each of them; the chart runs it so (console.enabled).",
        (
            ("ostiary console", "the cluster of your kubeconfig, at a link to open in a browser"),
            ("kubectl ostiary console", "the same, as a plugin of kubectl"),
            ("ostiary console --context staging -n sales --port 9090", "another cluster, namespace and port"),
        ),
        ("console", "operator"),
    ),
)
