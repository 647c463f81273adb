"""A gateway inside ``ostiary run``, and its spans as call records.

This is the only module that imports both planes.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ostiary_core.mcp.codes import INVALID_PARAMS
from ostiary_core.policy.unmatched_names import Slip
from ostiary_gateway.app import GatewayApp
from ostiary_gateway.config.observed_items import OFFERED
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.options import AuditOptions, GatewayOptions
from ostiary_gateway.telemetry import SpanRecord, Telemetry, semantic_conventions
from ostiary_operator.local.call_log import CallOutcome, CallRecord
from ostiary_operator.local.run_options import RunOptions

#: Ctrl-C must not wait for a stream that no client closes.
_DRAIN_SECONDS: Final = 2.0


class LocalGateway:
    """A gateway that loads its config and its keys from two folders.

    The config must name the gateway ``identity``.

    ``on_call`` gets the record of each completed message, except those of the trace ``own_trace``.
    """

    #: The trace id (128 bits, hexadecimal) of the requests that `ostiary run` itself sends.
    own_trace: Final = secrets.token_hex(16)

    def __init__(
        self, options: RunOptions, *, config: Path, keys: Path, identity: str, on_call: Callable[[CallRecord], None]
    ) -> None:
        self._on_call = on_call
        self._telemetry = Telemetry.from_env(on_end=self._on_end)
        settled = GatewayOptions(
            config=config,
            keys=keys,
            gateway=identity,
            host=options.host,
            port=options.port,
            admin_host=options.admin_host,
            admin_port=options.admin_port,
            drain_seconds=_DRAIN_SECONDS,
            replica="run",
            installation=secrets.token_hex(8),
            audit=AuditOptions(file=options.audit_file, stdout=False),
        )
        self._gateway = GatewayApp(settled, self._telemetry, environ=os.environ)
        self._swapped = asyncio.Event()
        self._gateway.store.listeners.append(self._on_swap)

    def _on_end(self, span: SpanRecord) -> None:
        if span.trace_id != self.own_trace:
            self._on_call(call_of(span))

    def _on_swap(self, _snapshot: Snapshot, _changed: frozenset[str]) -> None:
        self._swapped.set()

    async def start(self) -> None:
        """Listen.

        Raises:
            OstiaryError: a port is in use; the message names it and the variable that changes it.
        """
        try:
            await self._gateway.start()
        except BaseException:
            with contextlib.suppress(Exception):
                await self._gateway.stop()
            raise

    async def stop(self) -> None:
        """Drain for up to two seconds, then close."""
        await self._gateway.stop()

    @property
    def port(self) -> int:
        """The data port."""
        return self._gateway.port

    @property
    def admin_port(self) -> int:
        """The admin port."""
        return self._gateway.admin_port

    @property
    def tracing_off(self) -> str | None:
        """Why there are no traces; None if there are."""
        return self._telemetry.off

    async def until_live(self, revision: int, *, seconds: float) -> str | None:
        """Wait until a revision of the config is in force; return why it is not, or None."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._runs(revision):
                    self._swapped.clear()
                    await self._swapped.wait()
        store = self._gateway.store
        if self._runs(revision):
            rejected = [f"{proxy}: {found.message}" for proxy, found in sorted(store.rejected_entries.items())]
            return "; ".join(rejected) or None
        return store.rejected_config.message if store.rejected_config is not None else "it was not loaded in time"

    def slips(self) -> dict[str, tuple[Slip, ...]]:
        """Return, by proxy, the exact names in rules that its server is known not to offer."""
        snapshot = self._gateway.store.snapshot
        proxies = snapshot.proxies if snapshot is not None else {}
        return {identity: found for identity, proxy in proxies.items() if (found := OFFERED.of(proxy)[1])}

    def _runs(self, revision: int) -> bool:
        snapshot = self._gateway.store.snapshot
        return snapshot is not None and snapshot.revision >= revision


_NOT_AUTHENTICATED: Final = frozenset(
    {"CredentialMissing", "CredentialInvalid", "SeveralCredentials", "CredentialInQuery", "IdentityProviderUnavailable"}
)
"""The reasons of requests whose caller could not be authenticated. They are refused before their message is read."""


def call_of(span: SpanRecord) -> CallRecord:
    """Return a SERVER span as a call record."""
    attributes = span.attributes

    def text(key: str) -> str:
        return str(attributes.get(key, ""))

    name = text(semantic_conventions.OSTIARY_PROXY_NAME)
    method = text(semantic_conventions.MCP_METHOD_NAME)
    return CallRecord(
        method=method,
        target=text(semantic_conventions.TARGET_ATTRIBUTES.get(method, "")),
        proxy=f"{text(semantic_conventions.OSTIARY_PROXY_NAMESPACE)}/{name}" if name else "",
        outcome=_outcome(span),
        seconds=span.duration_ns / 1e9,
        policy=text(semantic_conventions.OSTIARY_ACCESS_POLICY),
        rule=text(semantic_conventions.OSTIARY_ACCESS_RULE),
        reason=text(semantic_conventions.OSTIARY_ACCESS_REASON),
        detail=": ".join(_faults(span)),
        found=_found(attributes.get(semantic_conventions.OSTIARY_CONTENT_FINDINGS)),
    )


def _found(findings: object) -> tuple[str, ...]:
    """Return what rules about content found, each once as `CardNumber: Mask`."""
    texts = [text.partition(" ")[2].split(" ") for text in findings] if isinstance(findings, list) else []
    return tuple(dict.fromkeys(_words(words) for words in texts))


def _words(words: list[str]) -> str:
    """Return detector and action of a text such as `Results CardNumber Mask 2 Shadow`."""
    is_shadow = words[-1] == "Shadow"
    end = -3 if is_shadow else -2
    return f"{' '.join(words[1:end])}: {'would ' if is_shadow else ''}{words[end]}"


def _outcome(span: SpanRecord) -> CallOutcome:
    attributes = span.attributes
    if attributes.get(semantic_conventions.OSTIARY_ACCESS_DECISION) == semantic_conventions.DENY:
        code = attributes.get(semantic_conventions.RPC_RESPONSE_STATUS_CODE)
        return CallOutcome.HIDDEN if code == str(INVALID_PARAMS) else CallOutcome.DENIED
    if attributes.get(semantic_conventions.ERROR_TYPE) == semantic_conventions.TOOL_ERROR:
        return CallOutcome.TOOL_ERROR
    if semantic_conventions.OSTIARY_PROXY_NAME in attributes and span.description in _NOT_AUTHENTICATED:
        return CallOutcome.REFUSED
    return CallOutcome.FAILED if any(_faults(span)) else CallOutcome.OK


def _faults(span: SpanRecord) -> Iterator[str]:
    """Yield what failed: the error's code or type, and its message."""
    attributes = span.attributes
    kind = attributes.get(semantic_conventions.RPC_RESPONSE_STATUS_CODE) or attributes.get(
        semantic_conventions.ERROR_TYPE
    )
    if kind is not None and kind != semantic_conventions.TOOL_ERROR:
        yield str(kind)
    if span.description:
        yield span.description
