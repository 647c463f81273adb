"""The chain of checks in the order of their dependencies, and its output as lines or JSON.

It ends at the first broken link.
"""

import textwrap
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from ostiary_operator.doctor import endpoint, gateway_checks, installation, operators, resource_checks, running
from ostiary_operator.doctor.diagnosis import Case, Check, CheckResult, CheckState, broken, unknown
from ostiary_operator.kube.errors import ClusterError, Forbidden
from ostiary_operator.local.console import Style
from ostiary_operator.view.tables import Paint

CHAIN: Final = (
    Check("API server", installation.api_server),
    Check("definitions", installation.definitions),
    Check("resource", resource_checks.exists),
    Check("operator", operators.operator),
    Check("gateways", gateway_checks.services),
    Check("settings", gateway_checks.settings),
    Check("accepted", resource_checks.accepted),
    Check("references", resource_checks.resolved_refs),
    Check("policies", resource_checks.policies),
    Check("config", gateway_checks.config),
    Check("endpoints", gateway_checks.endpoints),
    Check("running", running.running),
    Check("programmed", resource_checks.programmed),
    Check("sign-in", resource_checks.auth_discovery),
    Check("Pods", resource_checks.endpoints_observed),
    Check("address", endpoint.address),
    Check("handshake", endpoint.handshake),
    Check("server", endpoint.server),
)
_SHARED: Final = {"API server", "definitions", "operator", "gateways", "settings", "config", "endpoints"}
#: The checks that need no MCPProxy.
INSTALLATION: Final = (*(link for link in CHAIN if link.name in _SHARED), Check("resource", installation.nothing_more))
_STYLES: Final = {
    CheckState.OK: Style.GOOD,
    CheckState.WARNING: Style.WARN,
    CheckState.UNKNOWN: Style.WARN,
    CheckState.BROKEN: Style.BAD,
}
_WIDTH: Final = 110
_STATE: Final = 10
_NAME: Final = 13
Results = Sequence[tuple[Check, CheckResult]]


async def run_checks(case: Case, chain: Sequence[Check] = CHAIN) -> AsyncIterator[tuple[Check, CheckResult]]:
    """Run the checks; yield each with its result, up to the first that is broken."""
    for check in chain:
        result = await _run(check, case)
        yield check, result
        if result.state is CheckState.BROKEN:
            return


async def _run(check: Check, case: Case) -> CheckResult:
    try:
        return await check.run(case)
    except Forbidden as error:
        return unknown(f"you may not read it: {error}")
    except ClusterError as error:
        return broken(str(error), "check that the API server is up, and that your kubeconfig names the right one")


def line(check: Check, result: CheckResult, paint: Paint) -> str:
    """Return the line of one check, with the remedy below it."""
    head = f"  {paint(f'{result.state:<{_STATE}}', _STYLES[result.state])}{check.name:<{_NAME}}"
    indent = " " * (2 + _STATE + _NAME)
    words = [result.detail, *(f"What to do: {result.remedy}".split("\n") if result.remedy else ())]
    text = "\n".join(f"{indent}{each}" if each.startswith(" ") else _wrapped(each, indent) for each in words)
    return f"{head}{text.removeprefix(indent)}\n"


def _wrapped(words: str, indent: str) -> str:
    return textwrap.fill(
        words, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def summary(results: Results, paint: Paint) -> str:
    """Return the last line: which link is broken, if any."""
    broken = first_broken(results)
    if broken is not None:
        return paint(f"The first broken link: {broken}.", Style.BAD) + "\n"
    not_ok = sum(result.state is not CheckState.OK for _, result in results)
    return paint("No link is broken.", Style.GOOD) + (f" {not_ok} to review.\n" if not_ok else "\n")


def first_broken(results: Results) -> str | None:
    """Return the name of the broken link."""
    return next((check.name for check, result in results if result.state is CheckState.BROKEN), None)


def as_object(proxy: str | None, results: Results) -> dict[str, Any]:
    """Return the results for one MCPProxy as a JSON object."""
    links = [
        {"name": check.name, "state": result.state.value, "detail": result.detail, "remedy": result.remedy}
        for check, result in results
    ]
    return {"proxy": proxy, "broken": first_broken(results), "links": links}
