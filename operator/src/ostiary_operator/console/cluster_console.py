"""The console of a cluster.

It is for one person, with their kubeconfig and their rights, or for several who sign in.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.access.admission import ViewerAdmission
from ostiary_operator.console.access.one_time_token import OneTimeAdmission
from ostiary_operator.console.access.shared_access import SharedAccess, viewing_records
from ostiary_operator.console.application import ConsoleParts, application
from ostiary_operator.console.options import ConsoleOptions, ConsoleOptionsError
from ostiary_operator.console.server import ConsoleServer
from ostiary_operator.console.sources.cluster_objects import ClusterObjects
from ostiary_operator.console.sources.cluster_ports import ClusterPorts
from ostiary_operator.console.sources.prometheus import long_ranges
from ostiary_operator.console.sources.protocols import ConsoleSources
from ostiary_operator.console.sources.replica_evidence import ReplicaEvidence
from ostiary_operator.kube import kubeconfig
from ostiary_operator.kube.kubeconfig import Credentials
from ostiary_operator.kube.list_decoding import packed
from ostiary_operator.kube.pod_proxy import PodProxy
from ostiary_operator.kube.rest import RestClient
from ostiary_operator.local.run_options import PrometheusAddress
from ostiary_operator.view import admin_client
from ostiary_operator.view.replica_relay import ReplicaRelay

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class ClusterConsoleOptions:
    """What ``ostiary console`` is told.

    Of ``watched`` namespaces all is read, by default of the whole cluster, and of ``namespace`` alone where that is not
    allowed. ``access`` says who may enter a console for several people; without it the console is for the user of this
    machine, and ``token`` opens it for scripts.
    """

    console: ConsoleOptions
    credentials: Credentials
    operator_namespace: str
    namespace: str | None = None
    watched: tuple[str, ...] = ()
    access: SharedAccess | None = None
    token: SecretBytes | None = None
    prometheus: PrometheusAddress | None = None

    def __post_init__(self) -> None:
        """Check that no one else reaches a console for one person.

        Raises:
            ConsoleOptionsError: it would listen for other machines.
        """
        if self.access is None and self.console.host not in _LOOPBACK:
            raise ConsoleOptionsError(
                f"--host {self.console.host} lets other machines in, and all would have your rights: let people sign "
                "in with --oidc-issuer or --accept-tokens, or listen on 127.0.0.1"
            )
        if self.access is None and self.console.external_url:
            raise ConsoleOptionsError(
                "--external-url is for several people: add --oidc-issuer or --accept-tokens, or leave it out"
            )


async def serve(options: ClusterConsoleOptions, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. ``say`` shows a line: where the console is.

    Raises:
        OstiaryError: the credentials or options cannot be used.
        OSError: the port cannot be bound.
    """
    with _stopped_by_signals() as stop:
        async with _served(options, say):
            await stop.wait()


@contextmanager
def _stopped_by_signals() -> Iterator[asyncio.Event]:
    """Yield an event that the first signal sets; a second one ends the process."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        for each in _SIGNALS:
            loop.remove_signal_handler(each)

    for each in _SIGNALS:
        loop.add_signal_handler(each, end)
    try:
        yield stop
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)


@asynccontextmanager
async def _served(options: ClusterConsoleOptions, say: Callable[[str], None]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(kubeconfig.opened(options.credentials, pick=packed))
        sources = await _sources(options, cluster, stack)
        link = _AnnouncedLink(options.console, say)
        admission = _admission(options, cluster, link)
        stack.push_async_callback(admission.close)
        # Of a console for one person there is nothing to record: the rights are those of its user.
        records = viewing_records() if options.access is not None else None
        parts = ConsoleParts(options.console, admission, sources, records=records)
        server = ConsoleServer(application(parts), options.console)
        await server.start()
        stack.push_async_callback(server.stop)
        link.port = server.port
        if isinstance(admission, OneTimeAdmission):
            say(f"The console shows {sources.objects.title}, with your rights. Ctrl-C ends it.")
            admission.announce_link()
        else:
            say(f"The console serves {options.console.external_url} at port {server.port}")
        yield


async def _sources(options: ClusterConsoleOptions, cluster: RestClient, stack: AsyncExitStack) -> ConsoleSources:
    objects = ClusterObjects(
        cluster,
        title=await kubeconfig.address(options.credentials),
        operator_namespace=options.operator_namespace,
        namespace=options.namespace,
        namespaces=options.watched,
    )
    http = await stack.enter_async_context(admin_client.session())
    relay = await _relay(cluster, stack) if options.access is None else None
    ports = ClusterPorts(cluster, objects, operator_namespace=options.operator_namespace, relay=relay)
    evidence, ranges = ReplicaEvidence(http, ports), long_ranges(options.prometheus, http)
    return ConsoleSources(objects, evidence, ranges, operator_namespace=options.operator_namespace)


async def _relay(cluster: RestClient, stack: AsyncExitStack) -> ReplicaRelay:
    """Return what asks replicas with the user's rights, where their addresses do not answer."""
    pods = PodProxy(cluster)
    stack.push_async_callback(pods.close)
    return ReplicaRelay(pods)


class _AnnouncedLink:
    """Shows the links of a console for one person, once its port is known."""

    def __init__(self, options: ConsoleOptions, say: Callable[[str], None]) -> None:
        self._host = f"[{options.host}]" if ":" in options.host else options.host
        self._say = say
        self.port = options.port

    def show(self, path: str) -> None:
        """Show the link to a path."""
        self._say(f"Open http://{self._host}:{self.port}{path} (works once)")


def _admission(options: ClusterConsoleOptions, cluster: RestClient, link: _AnnouncedLink) -> ViewerAdmission:
    """Return who may enter.

    Raises:
        ConsoleOptionsError: an option is missing.
    """
    if options.access is not None:
        return options.access.admission(options.console, cluster)
    return OneTimeAdmission(link.show, fixed=options.token)
