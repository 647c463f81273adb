"""``ostiary run``: validates the files, serves them, and reloads them on change."""

import asyncio
import os
import signal
import sys
from collections.abc import Set
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

from ostiary_core.contract import key_names
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.manifest import Manifest
from ostiary_core.errors import OstiaryError
from ostiary_operator.delivery.directory import ConfigDirectory
from ostiary_operator.local import call_log, files, port_check, project_state, upstreams, welcome
from ostiary_operator.local.call_log import CallRecord
from ostiary_operator.local.companion import Companion, RunState
from ostiary_operator.local.console import Console, Style, printable
from ostiary_operator.local.embedded_gateway import LocalGateway
from ostiary_operator.local.manifests import ManifestKey, ObjectManifest, Read
from ostiary_operator.local.mcp_probe import list_offers
from ostiary_operator.local.mock_server_process import MockServerError
from ostiary_operator.local.mock_servers import MockServers
from ostiary_operator.local.project import Project, ProjectState, live
from ostiary_operator.local.reload_report import Reporter
from ostiary_operator.local.run_options import RunOptions
from ostiary_operator.local.running_projects import published
from ostiary_operator.local.source_files import SourceFiles
from ostiary_operator.local.validation import GATEWAY
from ostiary_operator.local.welcome import endpoint_summaries, file_to_edit


class NotInForceError(OstiaryError):
    """The gateway does not serve its new config; the message says why."""


_LOAD_SECONDS: Final = 10.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def run(options: RunOptions, console: Console, companion: Companion | None = None) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP; return the exit code.

    It is 1 if nothing could be served. ``companion`` runs as long as the gateway does.
    """
    stop = asyncio.Event()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves SIGHUP
            asyncio.get_running_loop().add_signal_handler(number, _once, stop)
    serving = asyncio.create_task(LocalRun(options, console, companion).serve(), name="run")
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if serving.done():
        return serving.result()
    console.event("ending", "requests in flight may finish; a second Ctrl-C ends them at once")
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    console.event("ended", "the gateway is closed, and nothing is left running")
    return 0


def _once(stop: asyncio.Event) -> None:
    """Handle the first signal by draining.

    The second has Python's default action, which ends the process.
    """
    stop.set()
    for number in _SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)


class LocalRun:
    """One run of the command."""

    def __init__(self, options: RunOptions, console: Console, companion: Companion | None) -> None:
        self._options = options
        self._console = console
        self._companion = companion
        self._report = Reporter(console, records=options.audit_file is not None)
        self._sources = SourceFiles(options.paths, namespace=options.namespace)
        self._mocks = MockServers(options.mock_port, say=lambda text: console.event("mock", text, Style.WARN))
        self._live: dict[ManifestKey, ObjectManifest] = {}
        self._slip_check: asyncio.Task[None] | None = None

    async def serve(self) -> int:
        """Serve until cancelled; return 1 if nothing can be served."""
        seen = files.file_stamps(self._options.paths)
        read = self._sources.read()
        if not self._is_sound(read):
            return 1
        async with AsyncExitStack() as stack:
            try:
                await self._open(stack, read)
            except (OstiaryError, OSError) as error:
                self._console.write(f"ostiary run: {error}")
                return 1
            async for _ in files.changes(partial(files.file_stamps, self._options.paths), seen):
                await self._reload()
        return 0

    def _is_sound(self, read: Read) -> bool:
        """Validate the files before anything is started.

        At the start there is no last good version to keep.
        """
        state = self._project(self._options.port).update(read)
        for note in read.notes:
            self._console.event("note", note, Style.DIM)
        self._report.faults(state)
        if state.errors:
            self._console.write("Nothing is served. Fix the errors above, then start again.")
        return not state.errors

    def _project(self, port: int) -> Project:
        options = self._options
        base = f"http://localhost:{port or 8080}"  # port 0: the real number is not known yet
        return Project(operator_namespace=options.operator_namespace, base_url=base, mock_ports=self._mocks.ports)

    async def _open(self, stack: AsyncExitStack, read: Read) -> None:
        """Start everything.

        The end is in reverse order, so that the gateway drains while the mock servers run.
        """
        wanted = [*port_check.of_options(self._options), *(self._companion.ports() if self._companion else ())]
        wanted += self._mocks.ports_wanted(read.manifests) if self._options.mock_server else ()
        port_check.check(wanted, command=["ostiary", *sys.argv[1:]])
        folder = stack.enter_context(project_state.temporary_folder())
        stack.push_async_callback(self._mocks.stop)
        options, gateway = self._options, f"{self._options.operator_namespace}/{GATEWAY}"
        keys = self._keys(stack, gateway)
        self._gateway = LocalGateway(options, config=folder, keys=keys, identity=gateway, on_call=self._show)
        await self._gateway.start()
        stack.push_async_callback(self._gateway.stop)
        stack.callback(self._cancel_slip_check)
        self._files = self._project(self._gateway.port)
        await self._ensure_mock_servers(read)
        self._directory = ConfigDirectory(folder, gateway=gateway, keys=keys)
        state = self._files.update(read)
        manifest = await self._put_in_force(state)
        admin = published(keys.parent, paths=options.paths, host=options.admin_host, port=self._gateway.admin_port)
        project = stack.enter_context(admin)
        self._state = RunState(project, state, manifest)
        stack.callback(asyncio.create_task(self._directory.renewing(), name="keys").cancel)
        self._live = live({}, state)
        self._report.remember(state)
        if self._companion is not None:
            stack.push_async_callback(self._companion.stop)
            await self._companion.start(self._state)
        await self._greet(read, state)

    def _keys(self, stack: AsyncExitStack, gateway: str) -> Path:
        """Return the folder of the keys: the kept one of earlier runs, or else a temporary one."""
        try:
            where = project_state.state_folder(self._options.paths, gateway=gateway, environ=os.environ)
            return stack.enter_context(project_state.locked(where)) / key_names.FOLDER
        except project_state.StateUnavailable as error:
            self._console.event("note", f"sessions will end with this run: {error}", Style.DIM)
            return stack.enter_context(project_state.temporary_folder()) / key_names.FOLDER

    async def _ensure_mock_servers(self, read: Read) -> None:
        """Start the mock servers that proxies need and that do not run, if the options allow it.

        Raises:
            MockServerError: one of them does not start.
        """
        if self._options.mock_server:
            await self._mocks.ensure(read.manifests)
            self._files.mock_ports = self._mocks.ports

    async def _put_in_force(self, state: ProjectState) -> Manifest:
        """Write the compiled config, wait until the gateway serves it, and return its manifest.

        Raises:
            OstiaryError: the gateway does not serve it.
            OSError: the config cannot be written.
        """
        if state.config is None:
            raise NotInForceError("the gateway has no settings that can be used")
        manifest = await asyncio.to_thread(self._directory.write, state.config, state.credentials)
        problem = await self._gateway.until_live(manifest.revision, seconds=_LOAD_SECONDS)
        if problem is not None:
            raise NotInForceError(f"the gateway refuses its config: {problem}")
        return manifest

    async def _reload(self) -> None:
        """Read the files again, and put in force what is valid."""
        read = await asyncio.to_thread(self._sources.read)
        try:
            await self._ensure_mock_servers(read)
        except MockServerError as error:
            self._console.event("broken", str(error), Style.BAD)
        state = await asyncio.to_thread(self._files.update, read)
        before = self._live
        self._report.faults(state)
        try:
            self._state.manifest = await self._put_in_force(state)
        except (OstiaryError, OSError) as error:
            self._state.problem = str(error)
            self._console.event("broken", str(error), Style.BAD)
            return
        self._state.files, self._state.problem = state, ""
        self._report.meanwhile(state, before)
        self._live = live(before, state)
        self._report.news(state, before, self._live)
        self._start_slip_check(state)

    async def _greet(self, read: Read, state: ProjectState) -> None:
        named = {server.port for server in upstreams.local_servers(read.manifests)}
        for default, port in self._files.mock_ports.items():
            if port != default and default in named:
                words = f"localhost:{default} in these files is read as localhost:{port} (MOCK_PORT)"
                self._console.event("note", words)
        summary = welcome.RunSummary(
            paths=self._options.paths,
            endpoints=endpoint_summaries(state, mock_ports=self._mocks.scenarios),
            edit=file_to_edit(state),
            admin_url=f"http://localhost:{self._gateway.admin_port}",
            tracing_off=self._gateway.tracing_off,
            companion=self._companion.welcome() if self._companion is not None else "",
        )
        welcome.greet(self._console, summary)
        self._start_slip_check(state, unreachable=await self._warn_of_unreachable(state))

    def _start_slip_check(self, state: ProjectState, *, unreachable: Set[str] = frozenset()) -> None:
        """Check rules against the servers' offers in the background.

        An edit must not wait for a silent server.

        A check that still runs is cancelled. ``unreachable`` are proxies whose server is known to be unreachable.
        """
        self._cancel_slip_check()
        self._slip_check = asyncio.create_task(self._check_slips(state, unreachable), name="slips")

    def _cancel_slip_check(self) -> None:
        if self._slip_check is not None:
            self._slip_check.cancel()

    async def _check_slips(self, state: ProjectState, unreachable: Set[str]) -> None:
        """List what the servers offer, and report the rules that name something else.

        Servers of which no rule names anything are not asked: some change what they offer with each list.
        """
        entries = state.config.entries.values() if state.config is not None else ()
        policies = state.config.policies if state.config is not None else {}
        urls = [
            f"http://127.0.0.1:{self._gateway.port}{entry.endpoint}"
            for entry in entries
            if any(_names_items(policies[key]) for key in entry.policies) and entry.identity not in unreachable
        ]
        await asyncio.gather(*(list_offers(url, trace_id=self._gateway.own_trace) for url in urls))
        self._report.slips({slip for found in self._gateway.slips().values() for slip in found})

    async def _warn_of_unreachable(self, state: ProjectState) -> Set[str]:
        """Warn about proxies whose server cannot be reached, with its URL and the cause.

        Return those proxies, as ``namespace/name``.
        """
        unreachable: set[str] = set()
        servers = list(upstreams.named_servers(state.manifests))
        for server, fault in zip(servers, await asyncio.gather(*map(upstreams.fault, servers)), strict=True):
            if fault is not None:
                unreachable.add(server.proxy)
                words = f"MCPProxy {server.proxy}: {printable(server.url)} cannot be reached: {fault}"
                self._console.event("warning", words, Style.WARN)
        for proxy in upstreams.cluster_only(state.manifests):
            unreachable.add(proxy)
            words = (
                f"MCPProxy {proxy}: it leads to a Service, which only a cluster has: name servers by url to try it here"
            )
            self._console.event("warning", words, Style.WARN)
        return unreachable

    def _show(self, call: CallRecord) -> None:
        """Write a call as one line."""
        if call.is_shown_by_default or self._options.verbose:
            self._console.event(call.outcome.value, call_log.line(call), call_log.STYLES[call.outcome])


def _names_items(policy: PolicyDocument) -> bool:
    """Return whether rules of a policy name tools or prompts: there may be typing errors."""
    rules = policy.access.rules if policy.access is not None else ()
    selected = (selection for rule in rules for selection in (rule.tools, rule.prompts) if selection is not None)
    return any(selection.names for selection in selected)
