"""The check that each replica runs the delivered config, according to its own report."""

import asyncio
from dataclasses import dataclass
from typing import Final

import aiohttp

from ostiary_core.errors import OstiaryError
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api import labels
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.doctor import nodes
from ostiary_operator.doctor.diagnosis import Case, CheckResult, CheckState, broken, ok, unknown
from ostiary_operator.doctor.gateway_checks import config, digest_of
from ostiary_operator.status import replicas
from ostiary_operator.status.replica_reports import Report
from ostiary_operator.view.rows import SHORT

_PAUSE: Final = 0.25  # seconds between two rounds of requests
_HEAL: Final = "see the log of that replica; it loads the config by itself as soon as it can"


async def running(case: Case) -> CheckResult:
    """Check that each replica reports the delivered digest."""
    end = asyncio.get_running_loop().time() + case.options.patience
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        while True:
            findings = [await _gateway_runs(case, session, gateway) for gateway in case.gateways]
            notable = [each for each in findings if each is not None]
            wrong = [each for each in notable if each.state is CheckState.BROKEN]
            if not wrong or asyncio.get_running_loop().time() >= end:
                break
            await asyncio.sleep(_PAUSE)
            await config(case)  # a newer config may have been delivered
    if notable:
        return [*wrong, *notable][0]
    return ok("every replica runs this digest") if findings else unknown("its gateways are not known")


async def _gateway_runs(case: Case, session: aiohttp.ClientSession, gateway: DiscoveredGateway) -> CheckResult | None:
    """Return what is wrong with the replicas of a gateway, or why they cannot be queried.

    Return None if all is well.
    """
    found = case.configs.get(gateway.identity)
    token = found.keys.admin_token if found is not None and found.keys is not None else None
    if found is None or token is None:
        return unknown(f"replicas of {gateway.identity} are not queried: that needs the token in the gateway's Secret")
    given = gateway.identity in case.options.gateway_replicas
    if not given and not case.options.inside:
        return await _unreachable(case, gateway)
    query = _Query(gateway, case.identity, digest_of(found.manifest, case.identity), token)
    there = case.replicas.get(gateway.identity, ())
    answers = await asyncio.gather(*(_replica_runs(session, each, query) for each in there))
    if not given and not any(answered for _, answered in answers):
        return await _unreachable(case, gateway)  # a NetworkPolicy allows the operator, and usually not us
    wrong = [text for text, _ in answers if text]
    return broken(wrong[0], _HEAL) if wrong else None


async def _unreachable(case: Case, gateway: DiscoveredGateway) -> CheckResult:
    what = f"replicas of {gateway.identity} cannot be reached from here; the operator's report about them follows"
    usual = (
        f"forward their port, and run again with --gateway-replicas {gateway.identity}=http://127.0.0.1:8081\n"
        f" kubectl -n {gateway.namespace} port-forward service/{gateway.service} 8081:{labels.ADMIN_PORT}"
    )
    return unknown(what, await nodes.remedy(case, usual, arguments=f"--gateway-replicas {gateway.identity}=URL,URL"))


@dataclass(frozen=True, slots=True)
class _Query:
    """The expected digest of an MCPProxy, and the credentials for the replicas' admin port."""

    gateway: DiscoveredGateway
    proxy: str
    digest: str | None
    token: SecretBytes


async def _replica_runs(session: aiohttp.ClientSession, replica: replicas.Replica, query: _Query) -> tuple[str, bool]:
    """Return what is wrong with a replica (empty: nothing), and whether it answered."""
    who = f"replica {replica.name} of gateway {query.gateway.identity}"
    try:
        report = await replicas.ask(session, replica, gateway=query.gateway.identity, token=query.token)
    except replicas.Refused as error:
        return f"{who}: {error}: its keys differ from the gateway's Secret", True
    except OstiaryError as error:
        return f"{who}: {error}", not isinstance(error, replicas.NoResponse)
    wrong = _wrong(report, query)
    return (f"{who} {wrong}" if wrong else ""), True


def _wrong(report: Report, query: _Query) -> str:
    """Return what differs in a replica's report; empty if it runs the digest."""
    entry = report.entries.get(query.proxy)
    active = entry.active if entry is not None else None
    if active is not None and active == query.digest:
        return ""
    if entry is not None and entry.rejected is not None:
        return f"rejected it: {entry.rejected.reason}: {entry.rejected.message}"
    if report.rejected is not None:
        return f"rejected the whole config: {report.rejected.reason}: {report.rejected.message}"
    return f"runs {active[:SHORT] if active else 'nothing of it'}, not {(query.digest or 'nothing')[:SHORT]}"
