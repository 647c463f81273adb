"""The span of loading a config: the gateway's part in the trace of a change.

It is recorded only for a config that carries a trace context (:mod:`ostiary_core.contract.change_trace`), and only if
the operator sampled that trace.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from ostiary_gateway.telemetry import context, semantic_conventions, span_record
from ostiary_gateway.telemetry.context import SAMPLED
from ostiary_gateway.telemetry.span_record import AttributeValue, PlainRecord

_MESSAGE: Final = 256


class SpanQueue(Protocol):
    """Takes ended spans."""

    def ended(self, span: PlainRecord) -> None:
        """Queue an ended span."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of a config.

    These are the numbers of its proxies, of the entries that are new, changed or gone, and of those that were rejected.
    ``reason`` and ``failure`` say why the whole config, or the first rejected entry, is not in force; "" if all is.
    """

    proxies: int = 0
    changed: int = 0
    rejected: int = 0
    reason: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class ConfigLoad:
    """One revision that was loaded. ``began`` and ``ended`` are in epoch nanoseconds."""

    traceparent: str
    gateway: str
    revision: int
    began: int
    ended: int
    result: LoadResult


OnLoad = Callable[[ConfigLoad], None]
"""Called with each result of loading a config that carries a trace context."""


def config_load_recorder(queue: SpanQueue) -> OnLoad:
    """Return a function that records a config's load as a span."""

    def record(load: ConfigLoad) -> None:
        parent = context.parse(load.traceparent)
        if parent is not None and parent.flags & SAMPLED:
            queue.ended(_span(load, parent.trace_id, parent.span_id))

    return record


def _span(load: ConfigLoad, trace_id: str, parent_id: str) -> PlainRecord:
    attributes: dict[str, AttributeValue] = {
        semantic_conventions.OSTIARY_GATEWAY: load.gateway,
        semantic_conventions.OSTIARY_CONFIG_REVISION: load.revision,
        semantic_conventions.OSTIARY_CONFIG_PROXIES: load.result.proxies,
        semantic_conventions.OSTIARY_CONFIG_CHANGED_ENTRIES: load.result.changed,
        semantic_conventions.OSTIARY_CONFIG_REJECTED_ENTRIES: load.result.rejected,
    }
    if load.result.reason:
        attributes[semantic_conventions.ERROR_TYPE] = load.result.reason
    return (
        trace_id,
        context.new_span_id(),
        parent_id,
        True,
        "",
        semantic_conventions.CONFIG_SPAN_NAME,
        span_record.INTERNAL,
        load.began,
        load.ended,
        attributes,
        span_record.ERROR if load.result.reason else span_record.UNSET,
        load.result.failure[:_MESSAGE],
        (),
        0,
    )
