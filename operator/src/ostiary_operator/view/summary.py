"""The text of ``ostiary status``.

It has gateways, proxies and policies, then the reasons and remedies of problems. Pure.
"""

import textwrap
from collections.abc import Sequence
from typing import Final

from ostiary_operator.api.conditions import ConditionStatus
from ostiary_operator.local.console import Style
from ostiary_operator.view import tables
from ostiary_operator.view.cluster_reader import ClusterOverview
from ostiary_operator.view.rows import GatewayRow, PolicyRow, ProxyRow, Readiness, gateway_row, policy_row, proxy_row
from ostiary_operator.view.tables import Paint

_WIDTH: Final = 110
_INDENT: Final = "    "


def text(seen: ClusterOverview, *, wide: bool = False, paint: Paint = tables.plain) -> str:
    """Return the whole page; its last line is a summary."""
    proxies = [proxy_row(each, seen.gateways) for each in seen.proxies]
    policies = [policy_row(each) for each in seen.policies]
    parts = [
        _gateways([gateway_row(each) for each in seen.gateways.values()], proxies, paint),
        _proxies(proxies, paint, wide=wide),
        _policies(policies, paint, wide=wide),
        _causes([*proxies, *policies], paint),
        _servers(proxies, paint),
        _remarks([*proxies, *policies], paint),
        _sum(proxies, policies, paint),
    ]
    return "\n".join(part for part in parts if part)


def _gateways(gateways: Sequence[GatewayRow], proxies: Sequence[ProxyRow], paint: Paint) -> str:
    if not gateways:
        return ""
    rows = []
    for line in gateways:
        identity = f"{line.namespace}/{line.name}"
        counts = [proxy.replicas[identity] for proxy in proxies if identity in proxy.replicas]
        # Each proxy has its own count of replicas; the gateway shows the lowest.
        worst = min(counts, key=lambda count: int(count.partition("/")[0]), default="")
        rows.append([identity, worst, _number(line.entries), _number(line.revision), line.service])
    return tables.render(("GATEWAY", "REPLICAS", "PROXIES", "REVISION", "SERVICE"), rows, paint=paint)


def _proxies(proxies: Sequence[ProxyRow], paint: Paint, *, wide: bool) -> str:
    if not proxies:
        return ""
    header = ["PROXY", "READY", "REPLICAS", "DIGEST", "POLICIES", "URL"]
    rows = [
        [f"{it.namespace}/{it.name}", it.verdict.status, it.replica_counts, it.digest, ",".join(it.policies), it.url]
        for it in proxies
    ]
    if wide:
        header += ["SERVERS", "ENDPOINTS", "TRACE"]
        more = ([",".join(it.servers), it.endpoint_counts, it.change_trace] for it in proxies)
        rows = [[*row, *cells] for row, cells in zip(rows, more, strict=True)]
    return tables.render(header, rows, paint=paint)


def _policies(policies: Sequence[PolicyRow], paint: Paint, *, wide: bool) -> str:
    if not policies:
        return ""
    header = ["POLICY", "READY", "GOVERNS"]
    rows = [[f"{it.namespace}/{it.name}", it.verdict.status, governs(it, wide=wide)] for it in policies]
    if wide:
        header.append("TRACE")
        rows = [[*row, it.change_trace] for row, it in zip(rows, policies, strict=True)]
    return tables.render(header, rows, paint=paint)


def governs(line: PolicyRow, *, wide: bool) -> str:
    """Return the targets of a policy as a cell.

    These are the first three, or with ``wide`` all in its status.
    """
    shown = line.targets if wide else line.targets[:3]
    total = line.target_count if line.target_count is not None else len(line.targets)
    more = f" and {total - len(shown)} more" if total > len(shown) else ""
    return ",".join(shown) + more


def _causes(lines: Sequence[ProxyRow | PolicyRow], paint: Paint) -> str:
    return "\n".join(_cause(line, paint) for line in lines if not line.verdict.ready)


def _servers(proxies: Sequence[ProxyRow], paint: Paint) -> str:
    """Return the problems of servers; their proxies may be ready all the same."""
    failing = [line for line in proxies if line.upstream.status == ConditionStatus.FALSE]
    return "\n".join(
        f"The server of MCPProxy {line.namespace}/{line.name} fails: {paint(line.upstream.reason, Style.BAD)}\n"
        + _paragraph(line.upstream.message)
        for line in failing
    )


def _remarks(lines: Sequence[ProxyRow | PolicyRow], paint: Paint) -> str:
    """Return the remarks on ready resources; those that are not ready show only their problem."""
    return "\n".join(_remark(line, each, paint) for line in lines if line.verdict.ready for each in line.remarks)


def _remark(line: ProxyRow | PolicyRow, remark: Readiness, paint: Paint) -> str:
    kind = "MCPProxy" if isinstance(line, ProxyRow) else "MCPPolicy"
    head = f"{kind} {line.namespace}/{line.name}: {paint(remark.reason, Style.WARN)}\n"
    return head + _paragraph(remark.message) + _remedy(remark)


def _cause(line: ProxyRow | PolicyRow, paint: Paint) -> str:
    kind = "MCPProxy" if isinstance(line, ProxyRow) else "MCPPolicy"
    judged = line.verdict
    style = Style.WARN if judged.status == "Unknown" else Style.BAD
    head = f"{kind} {line.namespace}/{line.name} is not ready: {paint(judged.reason, style)}\n"
    return head + _paragraph(judged.message) + _remedy(judged)


def _remedy(judged: Readiness) -> str:
    """Return what to do, unless the message says it in the same words."""
    if not judged.remedy or judged.remedy in judged.message:
        return ""
    return _paragraph(f"What to do: {judged.remedy}")


def _paragraph(words: str) -> str:
    if not words:
        return ""
    wrapped = textwrap.fill(
        words, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )
    return wrapped + "\n"


def _sum(proxies: Sequence[ProxyRow], policies: Sequence[PolicyRow], paint: Paint) -> str:
    if not proxies and not policies:
        return "There are no MCPProxies and no MCPPolicies here. -A shows all namespaces.\n"
    lines: list[ProxyRow | PolicyRow] = [*proxies, *policies]
    waiting = sum(not line.verdict.ready for line in lines)
    counted = (
        f"{_counted(len(proxies), 'MCPProxy', 'MCPProxies')}, {_counted(len(policies), 'MCPPolicy', 'MCPPolicies')}"
    )
    state = paint("all ready", Style.GOOD) if not waiting else paint(f"{waiting} not ready", Style.BAD)
    hint = "" if not waiting else "; `ostiary doctor NAME` finds the first broken link"
    return f"{counted}: {state}{hint}\n"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
