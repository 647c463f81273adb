"""The check of the operator: it runs, a replica leads, and it has processed the resource."""

import asyncio
import time
from typing import Final

import aiohttp

from ostiary_operator.api.objects import Object, name_of
from ostiary_operator.controller import namespace_ownership
from ostiary_operator.doctor import nodes
from ostiary_operator.doctor.diagnosis import Case, CheckResult, broken, ok, warning
from ostiary_operator.doctor.installation import INSTALL
from ostiary_operator.kube import kinds, leases
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import DEPLOYMENT, LEASE, PROXY
from ostiary_operator.local.console import printable

_OPERATORS: Final = "app.kubernetes.io/part-of=ostiary,app.kubernetes.io/component=operator"
_PAUSE: Final = 0.25
_LONG: Final = 60.0  # seconds
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)


async def operator(case: Case) -> CheckResult:
    """Check that the operator is ready, and that it has processed this generation."""
    if case.options.operator_url is not None:
        problem = await _readiness_problem(case.options.operator_url)
        if problem is not None:
            return problem
    processed = not case.name or await _is_processed(case)
    foreign = await _claimed_by_another(case)
    if foreign is not None:  # the generation may have been processed before the claim changed
        return warning(foreign.detail, foreign.remedy) if processed and case.name else foreign
    try:
        deployments = await case.cluster.list(
            DEPLOYMENT, namespace=case.options.operator_namespace, selector=_OPERATORS
        )
    except Forbidden:
        if processed:
            return ok("it has judged this generation; you may not read its Deployment")
        return broken(_unprocessed(case), "ask the platform team whether the operator runs and watches this namespace")
    leaderless = await _without_leader(case, deployments)
    return leaderless or await _of_deployments(case, deployments, processed=processed)


async def _readiness_problem(url: str) -> CheckResult | None:
    """Return what the operator's `/readyz` reports as wrong, or None."""
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(f"{url}/readyz") as response:
            if response.status == 200:
                return None
            words = printable((await response.text())[:200].strip())
            return broken(f"it is not ready: {words}", "see its log: it names what it waits for")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return broken(
            f"nothing answers at {url}: {type(error).__name__}", "start the operator, or correct --operator-url"
        )


async def _is_processed(case: Case) -> bool:
    """Wait for the status to observe the newest generation; return whether it does."""
    end = asyncio.get_running_loop().time() + case.options.patience
    while case.status.get("observedGeneration") != case.proxy["metadata"]["generation"]:
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(_PAUSE)
        case.proxy = await case.cluster.get(PROXY, namespace=case.namespace, name=case.name)
    return True


async def _of_deployments(case: Case, deployments: list[Object], *, processed: bool) -> CheckResult:
    namespace = case.options.operator_namespace
    available = sum(int((each.get("status") or {}).get("availableReplicas") or 0) for each in deployments)
    if processed and available:
        return ok(f"ready in namespace {namespace}" + (", and it has judged this generation" if case.name else ""))
    if processed and case.options.operator_url is not None:
        return ok(f"ready at {case.options.operator_url}")
    usual = f"check why\n kubectl -n {namespace} describe pods -l {_OPERATORS}"
    pods = await nodes.remedy(case, usual, arguments="--operator-url URL")
    if processed and case.name:
        what = "its Deployment has no ready Pod" if deployments else f"there is no Deployment of it in {namespace}"
        remedy = f"run again with --operator-namespace {case.elsewhere}" if case.elsewhere else pods
        return warning(f"it has judged this generation, but {what}: it would process no change", remedy)
    if not deployments:
        return broken(f"there is no operator in namespace {namespace}", f"correct --operator-namespace, or {INSTALL}")
    if not available:
        return broken("its Deployment has no ready Pod", pods)
    logs = f"check that it watches this namespace, and see its log\n kubectl -n {namespace} logs -l {_OPERATORS}"
    return broken(_unprocessed(case), logs)


async def _claimed_by_another(case: Case) -> CheckResult | None:
    """Return the result that another operator owns the namespace; else None."""
    lease = await _lease(case, case.namespace, kinds.CLAIM)
    holder = lease.holder if lease is not None else ""
    if not holder or holder.partition("/")[0] == case.options.operator_namespace:
        return None
    return broken(
        f"the operator {printable(holder)} claims namespace {case.namespace}, and no other serves it",
        "use --operator-namespace with its namespace, or stop one of the two; the claim expires "
        f"{namespace_ownership.LASTS} s after its holder has stopped",
    )


async def _without_leader(case: Case, deployments: list[Object]) -> CheckResult | None:
    """Return the result that no replica leads, else None.

    A Deployment of one replica has no Lease.
    """
    for deployment in deployments:
        lease = await _lease(case, case.options.operator_namespace, name_of(deployment))
        silent = time.time() - lease.renewed if lease is not None and lease.holder else 0.0
        if lease is not None and silent > max(_LONG, 4 * lease.seconds):  # clocks differ a little
            usual = f"see the log of its replicas\n kubectl -n {case.options.operator_namespace} logs -l {_OPERATORS}"
            return broken(
                f"no replica of it leads: {printable(lease.holder)} did so last, {silent:.0f} s ago",
                await nodes.remedy(case, usual, arguments="--operator-url URL"),
            )
    return None


async def _lease(case: Case, namespace: str, name: str) -> leases.LeaseRecord | None:
    try:
        return leases.parse(await case.cluster.get(LEASE, namespace=namespace, name=name))
    except (Forbidden, NotFound):
        return None


def _unprocessed(case: Case) -> str:
    generation = case.proxy.get("metadata", {}).get("generation")
    return f"it has not judged generation {generation} of MCPProxy {case.identity}"
