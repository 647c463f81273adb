"""All that the admin port answers, each with the right that it needs."""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from ostiary_gateway.admin.admin_port import OpenHandlers
from ostiary_gateway.admin.config_report import ConfigReport
from ostiary_gateway.admin.evidence_routes import EvidenceRoutes
from ostiary_gateway.admin.handlers import AdminHandlers, LimitPage
from ostiary_gateway.admin.rights import AdminRights
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.debug_capture.captures import DebugCaptures
from ostiary_gateway.debug_capture.reader import CaptureReaders
from ostiary_gateway.evidence.gateway_evidence import GatewayEvidence


def admin_routes(
    *,
    store: ConfigStore,
    replica: str,
    to_all: OpenHandlers,
    discovery: Callable[[ProxyRuntime], tuple[str, str] | None],
    captures: DebugCaptures,
    limits: LimitPage,
    evidence: GatewayEvidence,
    state: Callable[[], Mapping[str, Any]] = dict,
) -> list[web.RouteDef]:
    """Return the routes of one process, which ``replica`` names.

    ``to_all`` is what needs no right. ``discovery`` returns reason and cause of the last check of a proxy's server
    (:mod:`ostiary_core.auth_discovery`). ``state`` returns further members of ``/config``.
    """
    readers = CaptureReaders(captures, replica=replica)
    report = ConfigReport(store, replica=replica, discovery=discovery, captures=captures, state=state)
    rights = AdminRights(lambda: store.keyring)
    of_admin = AdminHandlers(store, report=report, captures=readers, limits=limits)
    of_evidence = EvidenceRoutes(
        evidence, store=store, replica=replica, captures=readers, limits=limits, settle=to_all.settle
    )
    return [
        *to_all.routes(),
        *of_admin.routes(rights),
        *of_evidence.routes(rights),
    ]
