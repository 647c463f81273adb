"""Records transitions as Events (events.k8s.io/v1), with a rate limit: they are for people.

An Event that cannot be written is dropped; nothing waits for it.
"""

import asyncio
import collections
import logging
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from ostiary_operator.api import labels
from ostiary_operator.api.conditions import ASIDE, OBSERVED, ConditionStatus, ConditionType
from ostiary_operator.api.objects import Object
from ostiary_operator.clock import Clock
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import ClusterError
from ostiary_operator.kube.kinds import EVENT
from ostiary_operator.status.builder import condition_of

T = TypeVar("T")
_log = logging.getLogger(__name__)
_CONTROLLER: Final = "ostiary.dev/operator"
#: The rate limit: the burst, and events per second after that.
_BURST: Final = 50.0
_RATE: Final = 5.0
_LEAST: Final = 0.01
#: Events that may wait, of one namespace and in total, so that one namespace cannot crowd out the others.
_WAITING_EACH: Final = 100
_WAITING: Final = 1000
#: Kubernetes allows 1024 bytes, and the id of a trace follows.
_NOTE: Final = 960
_SUMMED: Final = (ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS, ConditionType.PROGRAMMED, ConditionType.READY)
#: The conditions that get an Event when they become True.
_WELL: Final = (ConditionType.ACCEPTED, ConditionType.PROGRAMMED, ConditionType.READY)
#: TestsPassed gets no Event of its own: a version that fails a test is not accepted.
_ASIDE: Final = tuple(each for aside in ASIDE.values() for each in aside if each != ConditionType.TESTS_PASSED)


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An Event to write about one object."""

    regarding: Mapping[str, Any]
    reason: str
    note: str
    warning: bool
    change_trace: str = ""
    """The id of the trace of the change that caused it; "" if none is recorded."""


def transitions(
    regarding: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any], *, change_trace: str = ""
) -> Iterator[EventRecord]:
    """Yield the changes between two statuses: one Event for each fault.

    Of the conditions that Ready summarizes, only the first that fails gets an Event, since the others fail with it.
    Ready gets one only where no other condition did. Another reason is another fault; another message is not.
    """
    summed = list(_news(_SUMMED, before, after))
    fine = [new for new in summed if new["status"] == ConditionStatus.TRUE and new["type"] in _WELL]
    bad = [new for new in summed if new["status"] == ConditionStatus.FALSE]
    recorded = [*(new for new in fine if new["type"] != ConditionType.READY), *bad[:1]] or fine
    for new in (*recorded, *_news(_ASIDE, before, after)):
        if new["status"] != ConditionStatus.UNKNOWN:
            warning = new["status"] == ConditionStatus.FALSE
            yield EventRecord(regarding, new["reason"], new["message"], warning, change_trace)


def _news(
    types: Iterable[ConditionType], before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Yield the conditions whose status changed, or that fail for another reason."""
    for of_type in types:
        new, old = condition_of(after, of_type), condition_of(before, of_type) or {}
        if new is None or (of_type in OBSERVED and not _is_fault_or_recovery(old, new)):
            continue
        was = (old.get("status", ConditionStatus.UNKNOWN), old.get("reason"))
        if new["status"] != was[0] or (new["status"] == ConditionStatus.FALSE and new["reason"] != was[1]):
            yield new


def _is_fault_or_recovery(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether a server failed or recovered; its first response gets no Event."""
    return ConditionStatus.FALSE in {new["status"], old.get("status")}


class EventRecorder:
    """Writes Events in the background."""

    def __init__(self, cluster: KubernetesClient, clock: Clock) -> None:
        self.dropped = 0
        self._cluster = cluster
        self._clock = clock
        self._waiting: NamespaceQueue[EventRecord] = NamespaceQueue(each=_WAITING_EACH, most=_WAITING)
        self._more = asyncio.Event()
        self._allowance = _BURST
        self._measured = clock.monotonic()
        self._instance = socket.gethostname()[:128]

    def record(self, event: EventRecord) -> None:
        """Enqueue an Event; it is dropped when the queue is full."""
        if not self._waiting.put(str(event.regarding.get("namespace")), event):
            self.dropped += 1
            return
        self._more.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            if not self._waiting:
                self._more.clear()
                await self._clock.wait(self._more, 3600.0)
            elif (delay := self._take()) > 0:
                await self._clock.wait(asyncio.Event(), delay)
            else:
                await self._write(self._waiting.take())

    def _take(self) -> float:
        """Take a token of the rate limit, or return the seconds until there is one."""
        now = self._clock.monotonic()
        self._allowance = min(_BURST, self._allowance + (now - self._measured) * _RATE)
        self._measured = now
        if self._allowance < 1:
            return max((1 - self._allowance) / _RATE, _LEAST)
        self._allowance -= 1
        return 0.0

    async def _write(self, event: EventRecord) -> None:
        try:
            await self._cluster.create(EVENT, self._body(event))
        except ClusterError as error:
            self.dropped += 1
            _log.debug("an Event is dropped: %s", error)

    def _body(self, event: EventRecord) -> Object:
        regarding = event.regarding
        namespace = regarding.get("namespace") or "default"
        moment = datetime.fromtimestamp(self._clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "metadata": {
                "namespace": namespace,
                "name": f"{regarding['name'][:200]}.{secrets.token_hex(8)}",
                **({"annotations": {labels.CHANGE_TRACE: event.change_trace}} if event.change_trace else {}),
            },
            "eventTime": moment,
            "reportingController": _CONTROLLER,
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": event.reason,
            "regarding": dict(regarding),
            "note": event.note[:_NOTE] + (f" (trace {event.change_trace})" if event.change_trace else ""),
            "type": "Warning" if event.warning else "Normal",
        }


class NamespaceQueue(Generic[T]):
    """Queues up to ``each`` items of one namespace, and ``most`` in total."""

    def __init__(self, *, each: int, most: int) -> None:
        self._each = each
        self._most = most
        self._size = 0
        self._waiting: collections.OrderedDict[str, collections.deque[T]] = collections.OrderedDict()

    def __len__(self) -> int:
        return self._size

    def put(self, namespace: str, item: T) -> bool:
        """Enqueue an item; return whether there was room."""
        found = self._waiting.get(namespace)
        if self._size >= self._most or (found is not None and len(found) >= self._each):
            return False
        self._waiting.setdefault(namespace, collections.deque()).append(item)
        self._size += 1
        return True

    def take(self) -> T:
        """Remove and return the first item of the next namespace.

        Raises:
            KeyError: the queue is empty.
        """
        namespace, items = self._waiting.popitem(last=False)
        item = items.popleft()
        self._size -= 1
        if items:
            self._waiting[namespace] = items
        return item
