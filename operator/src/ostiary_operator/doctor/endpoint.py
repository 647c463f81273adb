"""The last checks: the published URL, the gateway's response, and the MCP server."""

import asyncio
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from ostiary_core import upstream_faults as faults
from ostiary_core.mcp import codes
from ostiary_operator.api.upstream_reasons import UpstreamHealthyReason
from ostiary_operator.compile.backends import is_in_cluster
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.doctor import nodes
from ostiary_operator.doctor.diagnosis import Case, CheckResult, broken, ok, unknown, warning
from ostiary_operator.kube.kinds import PROXY
from ostiary_operator.local.console import printable
from ostiary_operator.local.mcp_probe import McpClientSession, McpReply
from ostiary_operator.view import rows

#: The remedy for each reason in an error response of a gateway that cannot use a server. The reasons are those of
#: :mod:`ostiary_core.upstream_faults`; a test compares them.
UPSTREAM_REMEDIES: Final = {
    **{str(reason): reason.remedy for reason in UpstreamHealthyReason if reason in faults.KINDS},
    faults.CALLER_TOKEN_REQUIRED: (
        "This server gets a caller's own token in exchange: call with an access token, or set another `credential`."
    ),
    faults.FULL: "All connections to this server are in use: check why it is slow, and how many calls it gets.",
    faults.BLOCKED: "Ask the platform team: the settings of the gateway block this server (blocked).",
    faults.DRAINING: "Call again; if tools take longer than a gateway drains, raise the chart's gateway.drain.seconds.",
    faults.NO_ROOM: (
        "This replica buffers as many bytes of responses as it may: add replicas, or raise its bounds in the settings."
    ),
}
#: What to do where the gateway itself refuses a valid request, by its reason.
_REFUSAL_REMEDIES: Final = {
    "AuditUnavailable": (
        "the gateway cannot write audit records that a policy or its settings demand (failurePolicy Fail): its log and "
        "/readyz of its admin port say which sink fails, and why"
    ),
    "LimitReached": "wait until then; `ostiary limits` shows who used how much",
    "LimitUnavailable": "see the condition LimitStoreReady of the policies: their store cannot be reached",
}
_NOT_OURS: Final = (
    "something else answers at this URL: see externalURL of the gateway's settings, and the Ingress or route of "
    "this host"
)
_NO_TOOL: Final = (
    "check which tools the server offers, policies allow and guards hide, and with catalogue.pinning: Block which an "
    "MCPLock approves (the condition DefinitionsMatch)"
)
_CONNECT: Final = 5.0  # seconds


async def address(case: Case) -> CheckResult:
    """Check that the host of the published URL accepts connections from here."""
    url = case.status.get("url")
    if not url:
        return broken(
            "its status has no URL", "see the checks above; the operator publishes the URL of an accepted MCPProxy"
        )
    shown = urlsplit(case.options.via or url)
    host, port = shown.hostname or "", shown.port or (443 if shown.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_CONNECT):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except socket.gaierror:
        return broken(f"{url}: no address is known for {host}", await _connection_remedy(case, host))
    except (TimeoutError, OSError) as error:
        words = "no answer" if isinstance(error, TimeoutError) else (error.strerror or type(error).__name__)
        return broken(f"{url}: {host} port {port}: {printable(words)}", await _connection_remedy(case, host))
    return ok(url if case.options.via is None else f"{url}, through {case.options.via}")


async def _connection_remedy(case: Case, host: str) -> str:
    """Return how to get a connection."""
    gateway = case.gateways[0] if case.gateways else None
    if case.options.via is not None or gateway is None:
        return "correct --via, or check what listens there"
    return await nodes.remedy(case, _forwarded(gateway, host), arguments="--via URL of a running replica")


def _forwarded(gateway: DiscoveredGateway, host: str) -> str:
    forward = (
        "forward its port, and run again with --via http://127.0.0.1:8080\n"
        f" kubectl -n {gateway.namespace} port-forward service/{gateway.service} 8080:{gateway.port}"
    )
    if is_in_cluster(host):
        return f"this name resolves only inside the cluster, and clients outside need externalURL; from here {forward}"
    return f"see DNS, load balancer and Ingress of externalURL; to bypass them {forward}"


async def handshake(case: Case) -> CheckResult:
    """Check that our gateway answers at the URL, and accepts `initialize`."""
    url = case.status["url"]
    target, host = _target(url, case.options.via)
    try:
        async with McpClientSession(target, host=host, bearer=case.options.bearer) as client:
            case.response = await client.initialize()
            if case.response.result is not None:
                return _initialized(case, case.response, await client.request("tools/list", {}))
            return _refused(case, case.response)
    except (aiohttp.ClientConnectorCertificateError, ssl.SSLError, aiohttp.ClientSSLError) as error:
        return broken(
            f"TLS fails: {printable(str(error))}",
            "use a certificate for this host; for a private authority set SSL_CERT_FILE to its certificate",
        )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return broken(f"no response: {printable(str(error)) or type(error).__name__}", _NOT_OURS)


def _target(url: str, via: str | None) -> tuple[str, str | None]:
    """Return the URL to connect to, and the Host header to send if it differs."""
    if via is None:
        return url, None
    published, base = urlsplit(url), urlsplit(via)
    return urlunsplit((base.scheme, base.netloc, published.path, "", "")), published.netloc


def _initialized(case: Case, hello: McpReply, listed: McpReply) -> CheckResult:
    """Return that the gateway answers; the server check judges the response to `tools/list`."""
    case.response = listed
    server = (hello.result or {}).get("serverInfo")
    name = printable(str(server.get("name"))) if isinstance(server, dict) else "a server without a name"
    return ok(f"initialize is answered: {name}, revision {printable(str((hello.result or {}).get('protocolVersion')))}")


def _refused(case: Case, reply: McpReply) -> CheckResult:
    """Judge a failed `initialize`: some errors show that the gateway itself works."""
    code = reply.error.get("code")
    if reply.reason in UPSTREAM_REMEDIES:
        return ok("it answers")  # the server check reports the error
    if code == codes.POLICY_INVALID:
        return broken(
            "a policy that governs it is invalid and never was valid: every call is refused", "correct the policy"
        )
    if reply.reason in _REFUSAL_REMEDIES:
        return broken(_refusal(reply), _REFUSAL_REMEDIES[reply.reason])
    if reply.error:
        return ok(f"it answers initialize with error {code}: {printable(str(reply.error.get('message')))}")
    return _refused_by_status(case, reply)


def _refusal(reply: McpReply) -> str:
    return f"the gateway refuses the request ({reply.reason}): {printable(str(reply.error.get('message')))}"


def _refused_by_status(case: Case, reply: McpReply) -> CheckResult:
    answer = printable(str(reply.message.get("message") or reply.text.strip()))
    if reply.status == 401 and case.options.bearer is None:
        return ok("it answers, and requires a token")
    if reply.status == 401:
        return broken("it does not accept the token", "get a token that was issued for this URL and has not expired")
    if reply.reason in {"NotReady", "Draining"}:
        return broken(f"the replica that answers has no config, or is draining: {answer}", "see its log, and try again")
    if reply.reason == "NoSuchProxy":
        return broken(
            f"another replica or gateway answers there: {answer}", "wait if it was published just now; " + _NOT_OURS
        )
    return broken(f"HTTP {reply.status}: {answer}", _NOT_OURS if not reply.reason else f"see the reason {reply.reason}")


async def _upstream_message(case: Case, reason: str) -> str:
    """Return the message on the server's health if the condition has this reason, else nothing.

    It has details of the server's error that clients do not get. The condition may be some seconds old, so
    its reason is compared.
    """
    case.proxy = await case.cluster.get(PROXY, namespace=case.namespace, name=case.name)
    seen = rows.upstream_health(case.proxy)
    return seen.message.partition(f". {seen.remedy}")[0] if seen.reason == reason else ""


async def server(case: Case) -> CheckResult:
    """Check that the proxy's MCP server answers."""
    reply: McpReply = case.response
    if reply.reason in UPSTREAM_REMEDIES:
        where = ", ".join(_servers(case))
        what = await _upstream_message(case, reply.reason) or printable(str(reply.error.get("message")))
        return broken(f"{printable(reply.reason)}: {where}: {what}", UPSTREAM_REMEDIES[reply.reason])
    if reply.status == 401:
        return unknown("it is not called without a token", "use --bearer-file FILE")
    if reply.error:
        return _answered_with_error(reply)
    tools = (reply.result or {}).get("tools")
    if not isinstance(tools, list):
        return warning("it answers, but returns no list of tools", "check that this is intended")
    if not tools:
        return warning("it answers, but this client sees no tool", _NO_TOOL)
    more = " and more" if (reply.result or {}).get("nextCursor") else ""
    return ok(f"it answers: {len(tools)} tools{more} are visible to this client")


def _answered_with_error(reply: McpReply) -> CheckResult:
    if reply.reason in _REFUSAL_REMEDIES:
        return warning(_refusal(reply), _REFUSAL_REMEDIES[reply.reason])
    answer = printable(str(reply.error.get("message")))
    return warning(
        f"it answers with error {reply.error.get('code')}: {answer}", "check which revisions of MCP the server supports"
    )


def _servers(case: Case) -> list[str]:
    return [
        printable(str(each.get("url") or f"Service {(each.get('service') or {}).get('name')}"))
        for each in case.proxy["spec"]["servers"]
    ]
