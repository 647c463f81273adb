"""The sub-commands that need no cluster: they read files, or write what users apply."""

from typing import Final

from ostiary_operator.cli.command import PACKAGE, Command

FILE_COMMANDS: Final = (
    Command(
        "run",
        f"{PACKAGE}.cli.run",
        "serve a folder of MCPProxies and MCPPolicies on this machine",
        "Serve the MCPProxies in YAML files, under the MCPPolicies in the same files, with the same compiler and the "
        "same gateway as in a cluster, but without one. A changed file is in force as soon as it is saved. For an "
        "invalid file the problems are printed, and the last good version stays in force. If a server of an MCPProxy "
        "is localhost:7878, the mock MCP server is started; at localhost:7879 one that knows sessions only, at "
        "localhost:7880 one without sessions, at 7881 a REST service, at 7882 and 7883 two more replicas of the first. "
        "The console, pages that show what happens, is at a link that is printed and works once.",
        (
            ("ostiary run", "serve examples/quickstart"),
            ("ostiary run my-proxies/", "serve the *.yaml files of a folder"),
            ("PORT=9080 MOCK_PORT=9878 ostiary run", "serve on other ports"),
            ("ostiary run --console-token @token.txt", "let scripts read the console, too, with the token in a file"),
        ),
        ("gateway", "console", "demo"),
    ),
    Command(
        "validate",
        f"{PACKAGE}.cli.validate",
        "check MCPProxies, MCPPolicies and gateway settings in YAML files",
        "Check YAML files with the same rules as a cluster: each object by itself, then all of them together. Every "
        "problem is reported with file, line, column, field and remedy. The exit code is 0 if there are no problems, "
        "1 if there are, and 2 if the arguments are wrong.",
        (
            ("ostiary validate deploy/", "check all *.yaml and *.yml files below a folder"),
            ("helm template my-chart | ostiary validate -", "check the output of another tool"),
            ("ostiary validate -o json deploy/", "print an array of objects, for programs"),
        ),
    ),
    Command(
        "test",
        f"{PACKAGE}.cli.test",
        "run the tests in MCPPolicies of YAML files",
        "Run the tests that MCPPolicies contain (spec.tests) and print each result, with the rule that decided. A "
        "test is judged by its policy alone: other policies of the same MCPProxy, its catalogue and the policy's mode "
        "change nothing. The operator runs the same tests, and does not accept a version that fails one. The exit code "
        "is 0 if all tests pass, 1 if one fails or a policy is invalid, and 2 if the arguments are wrong.",
        (
            ("ostiary test policies/", "run the tests in all *.yaml and *.yml files below a folder"),
            ("ostiary test -o json policies/", "print an array of objects, for programs"),
        ),
    ),
    Command(
        "explain",
        f"{PACKAGE}.cli.explain",
        "say which rule decides a call, and why each other rule does not",
        "Decide a call by a caller as the gateway would, and show every rule of the MCPProxy's policies: which one "
        "decides, and which part of each other rule does not match (name, caller, condition, arguments or scopes). The "
        "policies are read from YAML files, or without any from the config of the MCPProxy's gateway in a cluster. The "
        "request has no headers but those of --header, and the credential of the caller counts as valid. The exit code "
        "is 0 if the call is allowed, 1 if it is denied, and 2 if that cannot be known.",
        (
            (
                "ostiary explain --tool delete_ticket policies/",
                "the anonymous caller, at the only MCPProxy of a folder",
            ),
            (
                "ostiary explain --proxy tickets --consumer support-agent --tool delete_ticket policies/",
                "a consumer with the groups of its API keys",
            ),
            (
                "ostiary explain --as claims.json --proxy sales/crm --tool refund --args '{\"amount\": 5}'",
                "a caller with a token, at a cluster",
            ),
        ),
    ),
    Command(
        "access",
        f"{PACKAGE}.cli.access",
        "print which callers may see and use what, as a matrix",
        "Print a matrix for each MCPProxy in YAML files: its rows are the names that rules write out, or those of a "
        "server's lists; its columns are the consumers with API keys, the consumers and groups that policies name, the "
        "anonymous caller if it is admitted, and any other caller. A name with a * stands for the names that no other "
        "rule writes out. The exit code is 0, 1 if the files have errors, and 2 if the arguments are wrong.",
        (
            ("ostiary access policies/", "every MCPProxy of a folder"),
            ("ostiary access -o markdown policies/ > access.md", "for the description of a pull request"),
            ("ostiary access --proxy crm --list tools.json policies/", "with the tools that a server really has"),
        ),
    ),
    Command(
        "suggest",
        f"{PACKAGE}.cli.suggest",
        "write MCPPolicies that allow just what callers really used",
        "Read recorded decisions and print a least-privilege MCPPolicy for each MCPProxy and each set of callers that "
        "used the same. A record is a gateway's span as a JSON line, as OTEL_TRACES_EXPORTER=console prints it, or the "
        "file exporter of the OpenTelemetry Collector. The policies are in Shadow mode unless you say otherwise, so "
        "that you see first what they would deny. The exit code is 0, 1 if no use is recorded, and 2 if the file "
        "cannot be read.",
        (
            ("ostiary suggest spans.jsonl > policy.yaml", "from a file of spans"),
            ("ostiary suggest --enforce spans.jsonl | ostiary test -", "check that they allow what was recorded"),
        ),
    ),
    Command(
        "lock",
        f"{PACKAGE}.cli.lock",
        "write the MCPLock of a server, or say how the server differs from it",
        "Read what the servers of an MCPProxy say of their tools, prompts and resources, and print an MCPLock that "
        "approves it, for review in Git: whole definitions, in which hidden characters are escapes. The servers are "
        "asked at the URLs in the YAML files, not through a gateway. With --check nothing is written: it prints how "
        "servers differ from the MCPLocks in the files, field by field, and the exit code is 1 if they do. With "
        "--merge the MCPLock keeps what is approved, and gets what servers show besides. The exit code is 2 if "
        "something cannot be read.",
        (
            ("ostiary lock calc examples/lock -o calc-lock.yaml", "approve what the servers of an MCPProxy show now"),
            ("ostiary lock calc --check examples/lock", "what has changed since the review"),
            (
                "ostiary lock crm --url http://localhost:9000/mcp crm/",
                "a server in a cluster, at a forwarded port",
            ),
        ),
        ("gateway",),
    ),
    Command(
        "mask",
        f"{PACKAGE}.cli.mask",
        "show what masks leave of a file",
        "Print a file as masks leave it, and say on stderr what they found. The file is a text, a result of a tool, "
        "any other JSON, or a JSON-RPC message, of which a tools/call is masked as what goes to a server. The masks "
        "are those of MCPPolicies in YAML files, whatever names they select; without --policy every kind of values is "
        "masked. Hash and Tokenise are shown as Mask, since only gateways have their keys. The exit code is 0, 1 if a "
        "mask blocks, and 2 if a file or policy cannot be used.",
        (
            ("ostiary mask notes.txt", "hide every kind of values in a text"),
            ("ostiary mask --policy policies/ result.json", "what callers get of a recorded result"),
            ("kubectl logs my-server | ostiary mask --keep-last 4 -", "from another program"),
        ),
    ),
    Command(
        "compile",
        f"{PACKAGE}.cli.compile",
        "compile YAML files into the folder that a gateway outside a cluster reads",
        "Compile MCPProxies, MCPPolicies and the settings of one gateway into the folder that `ostiary gateway "
        "--config` reads. Use it on virtual machines and in compose files, where no operator writes that folder. The "
        "folder changes in one step, and only if all files are valid; a running gateway applies the change without "
        "dropping a request. Keys are created once, kept, and rotated. The exit code is 0 if there are no problems, 1 "
        "if the files have problems, and 2 if the arguments are wrong.",
        (
            ("ostiary compile proxies/ --out /var/lib/ostiary", "compile once, before a start or a reload"),
            ("ostiary gateway --config /var/lib/ostiary", "serve the result"),
            ("ostiary compile proxies/ --out /var/lib/ostiary --watch", "compile again whenever a file changes"),
        ),
    ),
    Command(
        "key",
        f"{PACKAGE}.cli.key",
        "make an API key for a caller of MCPProxies",
        "Make an API key. The Secret that holds it is printed to stdout, for kubectl, and the key to stderr, for the "
        "caller. Nothing is written anywhere else, so keep the key: it is not shown again.",
        (
            ("ostiary key create support-agent -n sales | kubectl apply --server-side -f -", "make a key in a cluster"),
            (
                "ostiary key create support-agent-2 -n sales --consumer support-agent --expires 90d",
                "a second key of the same consumer, for rotation",
            ),
            (
                "ostiary key create support-agent --groups support --label app=crm",
                "with a group, and a label to select",
            ),
        ),
    ),
    Command(
        "audit",
        f"{PACKAGE}.cli.audit",
        "verify and query audit trails",
        "Verify that the files of an audit trail are as the gateway wrote them: no record was changed, removed, added, "
        "moved or repeated, the trail has its end, and the gateway's key signed it. The first bad line is named. Or "
        "find records and print them. The exit code of verify is 0 if the trail is good, 1 if it is not, and 2 if that "
        "cannot be known; that of query is 1 if no record matches.",
        (
            ("ostiary audit verify --public-key gateway.pem audit.jsonl*", "a file and the ones rotated from it"),
            ("ostiary audit verify --open --public-key gateway.pem audit.jsonl", "while the gateway writes it"),
            ("kubectl logs my-gateway | ostiary audit verify --mixed --open -", "from the log of a container"),
            ("ostiary audit query --tool delete_ticket --decision deny --since 24h audit.jsonl", "find records"),
            ("ostiary audit keys /var/lib/ostiary/keys > gateway.pem", "the public keys of a gateway on this machine"),
        ),
        ("gateway",),
    ),
    Command(
        "crds",
        f"{PACKAGE}.cli.crds",
        "print the CustomResourceDefinitions, or write them to files",
        "Print the CustomResourceDefinitions of MCPProxy and MCPPolicy, which are generated from the models. With "
        "options, write files instead: the definitions, JSON Schemas of all kinds for editors, and the reference of "
        "their fields.",
        (
            ("ostiary crds | kubectl apply --server-side -f -", "install them"),
            ("ostiary crds --json-schema schemas", "write schemas with which editors check and complete all kinds"),
            ("ostiary crds --write crds --json-schema schemas --docs docs/reference", "write this repository's"),
        ),
    ),
    Command(
        "completion",
        f"{PACKAGE}.cli.completion",
        "print the script that completes command lines in a shell",
        "Print the script by which bash, zsh or fish completes commands, options, and the names of MCPProxies, "
        "MCPPolicies, gateways and namespaces of a cluster. Names are asked of the cluster within 300 ms, or left out; "
        "OSTIARY_COMPLETION_TIMEOUT_MS is another time. `kubectl ostiary` is completed by kubectl's own script.",
        (
            ("source <(ostiary completion bash)", "in this bash"),
            ("source <(ostiary completion zsh)", "in this zsh"),
            ("ostiary completion fish | source", "in this fish"),
            ("ostiary completion bash > ~/.local/share/bash-completion/completions/ostiary", "in every bash from now"),
        ),
    ),
)
