"""The last links: the published URL, the door that answers there, and the MCP server behind it."""

import asyncio
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from ostiary_core.mcp import codes
from ostiary_operator.api.status import ConditionType
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.doctor import nodes
from ostiary_operator.doctor.model import Case, CheckResult, broken, ok, unknown, warning
from ostiary_operator.doctor.remedies import UPSTREAM
from ostiary_operator.kube.kinds import PROXY
from ostiary_operator.local.asking import McpClientSession, McpReply
from ostiary_operator.local.console import printable
from ostiary_operator.view import verdict

_NOT_OURS: Final = (
    "something else answers at this URL: see externalURL of the gateway's settings, and what Ingress or route leads "
    "there"
)
_CONNECT: Final = 5.0  # seconds


async def address(case: Case) -> CheckResult:
    """Does the published URL lead anywhere from here?"""
    url = case.status.get("url")
    if not url:
        return broken("its status has no URL", "see the links above; the operator publishes one when it is accepted")
    shown = urlsplit(case.options.via or url)
    host, port = shown.hostname or "", shown.port or (443 if shown.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_CONNECT):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except socket.gaierror:
        return broken(f"{url}: no address is known for {host}", await _lead_there(case, host))
    except (TimeoutError, OSError) as error:
        words = "no answer" if isinstance(error, TimeoutError) else (error.strerror or type(error).__name__)
        return broken(f"{url}: {host} port {port}: {printable(words)}", await _lead_there(case, host))
    return ok(url if case.options.via is None else f"{url}, by way of {case.options.via}")


async def _lead_there(case: Case, host: str) -> str:
    """Return how a connection can be had."""
    gateway = case.gateways[0] if case.gateways else None
    if case.options.via is not None or gateway is None:
        return "correct --via, or see what listens there"
    return await nodes.remedy(case, _forwarded(gateway, host), told="--via URL, that of a replica that runs")


def _forwarded(gateway: DiscoveredGateway, host: str) -> str:
    forward = (
        "forward its port, and come again with --via http://127.0.0.1:8080\n"
        f" kubectl -n {gateway.namespace} port-forward service/{gateway.service} 8080:{gateway.port}"
    )
    if host.endswith(".svc") or ".svc." in host:
        return f"this name is one of inside the cluster, and clients outside need externalURL; from here {forward}"
    return f"see DNS, load balancer and Ingress of externalURL; to look past them {forward}"


async def handshake(case: Case) -> CheckResult:
    """Does our door answer there, and let us say hello?"""
    url = case.status["url"]
    target, host = _target(url, case.options.via)
    try:
        async with McpClientSession(target, host=host, bearer=case.options.bearer) as knock:
            case.answer = await knock.initialize()
            if case.answer.result is not None:
                return _greeted(case, case.answer, await knock.request("tools/list", {}))
            return _refused(case, case.answer)
    except (aiohttp.ClientConnectorCertificateError, ssl.SSLError, aiohttp.ClientSSLError) as error:
        return broken(
            f"TLS fails: {printable(str(error))}",
            "let the certificate name this host; an authority of your own is named to this command in SSL_CERT_FILE",
        )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return broken(f"no answer: {printable(str(error)) or type(error).__name__}", _NOT_OURS)


def _target(url: str, via: str | None) -> tuple[str, str | None]:
    """Return where to connect, and the Host to send if that is another."""
    if via is None:
        return url, None
    published, base = urlsplit(url), urlsplit(via)
    return urlunsplit((base.scheme, base.netloc, published.path, "", "")), published.netloc


def _greeted(case: Case, hello: McpReply, listed: McpReply) -> CheckResult:
    """Judge the second answer; what stands behind the door is the next link's."""
    case.answer = listed
    server = (hello.result or {}).get("serverInfo")
    name = printable(str(server.get("name"))) if isinstance(server, dict) else "a server without name"
    return ok(f"initialize is answered: {name}, revision {printable(str((hello.result or {}).get('protocolVersion')))}")


def _refused(case: Case, reply: McpReply) -> CheckResult:
    """Judge an answer to `initialize` that is none: some of them show that the door itself works."""
    code = reply.error.get("code")
    if reply.reason in UPSTREAM:
        return ok("it answers")  # what it says is said of the next link
    if code == codes.POLICY_INVALID:
        return broken("a policy that governs it cannot be used, and none was before: every call is refused", "mend it")
    if reply.error:
        return ok(f"it answers initialize with error {code}: {printable(str(reply.error.get('message')))}")
    return _refused_by_status(case, reply)


def _refused_by_status(case: Case, reply: McpReply) -> CheckResult:
    said = printable(str(reply.message.get("message") or reply.text.strip()))
    if reply.status == 401 and case.options.bearer is None:
        return ok("it answers, and asks for a token")
    if reply.status == 401:
        return broken("it does not accept the token", "get one that is meant for this URL and has not expired")
    if reply.reason in {"NotReady", "Draining"}:
        return broken(f"the replica that answers has no config, or is ending: {said}", "see its log, and try again")
    if reply.reason == "NoSuchProxy":
        return broken(
            f"another replica or gateway answers there: {said}", "wait, if it was just published; " + _NOT_OURS
        )
    return broken(f"HTTP {reply.status}: {said}", _NOT_OURS if not reply.reason else f"see the reason {reply.reason}")


async def _seen_by_gateways(case: Case, reason: str) -> str:
    """Return what the gateways saw of the server, by its status: the server's own words, which callers are not told.

    It is a few seconds behind, so it counts only where it is of the same fault.
    """
    case.proxy = await case.cluster.get(PROXY, namespace=case.namespace, name=case.name)
    seen = verdict.condition(case.proxy, ConditionType.UPSTREAM_HEALTHY)
    return seen.message.partition(f". {seen.remedy}")[0] if seen.reason == reason else ""


async def server(case: Case) -> CheckResult:
    """Does the MCP server behind the door answer?"""
    reply: McpReply = case.answer
    code = reply.error.get("code")
    if reply.reason in UPSTREAM:
        where = ", ".join(_servers(case))
        what = await _seen_by_gateways(case, reply.reason) or printable(str(reply.error.get("message")))
        return broken(f"{printable(reply.reason)}: {where}: {what}", UPSTREAM[reply.reason])
    if reply.status == 401:
        return unknown("it is not asked without a token", "--bearer-file FILE")
    if reply.error:
        said = printable(str(reply.error.get("message")))
        return warning(
            f"it answers with error {code}: {said}", "see whether the server speaks a revision of MCP that it should"
        )
    tools = (reply.result or {}).get("tools")
    if not isinstance(tools, list):
        return warning("it answers, and offers no list of tools", "see whether that is what you expect")
    if not tools:
        return warning(
            "it answers, and this caller sees no tool", "see what the policies let him see, and what the server offers"
        )
    more = " and more" if (reply.result or {}).get("nextCursor") else ""
    return ok(f"it answers: {len(tools)} tools{more} are visible to this caller")


def _servers(case: Case) -> list[str]:
    return [
        printable(str(each.get("url") or f"Service {(each.get('service') or {}).get('name')}"))
        for each in case.proxy["spec"]["servers"]
    ]
