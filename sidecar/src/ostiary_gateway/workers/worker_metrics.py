"""``/metrics`` for all workers, and the metrics of the workers themselves."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from aiohttp import web
from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from ostiary_core.metric_family import Families, MetricFamily, MetricKind
from ostiary_gateway.threads import in_background
from ostiary_gateway.workers.merged_metrics import Scrape, WorkerTotals, joined_scrapes, read_scrape, scrape_text
from ostiary_gateway.workers.worker_requests import WorkerRequests
from ostiary_gateway.workers.worker_slot import WorkerSlot

WORKERS: Final = MetricFamily("ostiary_workers", "Workers that this gateway was started with")
WORKERS_UP: Final = MetricFamily("ostiary_workers_up", "Workers whose data port is open")
WORKER_ENDS: Final = MetricFamily(
    "ostiary_worker_ends",
    "Workers that ended without being asked to, and were replaced",
    MetricKind.COUNTER,
    labels=("worker", "reason"),
)
WORKER_CONNECTIONS: Final = MetricFamily(
    "ostiary_worker_connections_open", "Connections of callers at each worker", labels=("worker",)
)
WORKER_CPU: Final = MetricFamily(
    "ostiary_worker_cpu_seconds",
    "CPU time of each worker's process; it begins again with a replacement",
    MetricKind.COUNTER,
    labels=("worker",),
)
WORKER_ANSWERING: Final = MetricFamily(
    "ostiary_worker_answering",
    "1 if a worker whose data port is open answered this scrape in time, else 0: such a worker is ended after a while",
    labels=("worker",),
)
#: The families of a worker's text that are shown for each worker, too.
_SHOWN: Final = {
    "ostiary_connections_open": (WORKER_CONNECTIONS, "ostiary_connections_open"),
    "process_cpu_seconds": (WORKER_CPU, "process_cpu_seconds_total"),
}
_OPEN_METRICS: Final = "application/openmetrics-text"


class WorkerMetrics:
    """Answers scrapes."""

    def __init__(self, requests: WorkerRequests, slots: Sequence[WorkerSlot]) -> None:
        self._requests = requests
        self._slots = slots
        self._totals = WorkerTotals()
        self._own = ProcessCollector(registry=None)
        self._scraping = asyncio.Lock()

    def worker_ended(self, index: int) -> None:
        """Keep what a worker had counted."""
        self._totals.worker_ended(index)

    async def serve(self, request: web.Request) -> web.Response:
        """Answer a scrape as its Accept header wants it. Scrapes take turns."""
        accept = request.headers.get("Accept", "")
        async with self._scraping:
            asked = {slot.index: slot.generation for slot in self._slots if slot.is_up}
            found = await self._requests.all(list(asked), "/metrics", {"Accept": accept})
            bodies = {each.index: each.body for each in found if each.status == 200}
            scrapes = await in_background(lambda: {index: read_scrape(body.decode()) for index, body in bodies.items()})
            # A worker that has ended meanwhile is counted with what it said before.
            alive = {slot.index for slot in self._slots if asked.get(slot.index) == slot.generation}
            scrapes = {index: scrape for index, scrape in scrapes.items() if index in alive}
            for index, scrape in scrapes.items():
                self._totals.take(index, scrape)
            answering = {index: index in bodies for index in asked if index in alive}
            parts = self._totals.parts(scrapes, [slot.index for slot in self._slots])
            text, content_type = await in_background(
                self._text, parts, list(self._families(scrapes, answering)), accept
            )
        return web.Response(body=text, headers={"Content-Type": content_type})

    def _text(self, parts: Sequence[Scrape], families: Iterable[Metric], accept: str) -> tuple[bytes, str]:
        """Return the answer; this runs in a thread, while workers may end."""
        encode, content_type = choose_encoder(accept)
        own = read_scrape(encode(Families([*families, *self._own.collect()])).decode())
        joined = joined_scrapes((*parts, own))
        return scrape_text(joined, is_open=content_type.startswith(_OPEN_METRICS)).encode(), content_type

    def _families(self, scrapes: Mapping[int, Scrape], answering: Mapping[int, bool]) -> Iterator[Metric]:
        yield WORKERS.value(len(self._slots))
        yield WORKERS_UP.value(sum(slot.is_up for slot in self._slots))
        ends = {(str(slot.index), reason): n for slot in self._slots for reason, n in slot.ends.items()}
        yield WORKER_ENDS.values(ends)
        yield WORKER_ANSWERING.values({(str(index),): float(answers) for index, answers in answering.items()})
        for name, (family, sample) in _SHOWN.items():
            shown = {
                (str(index),): scrape[name].samples.get(sample, 0.0)
                for index, scrape in scrapes.items()
                if name in scrape
            }
            yield family.values(shown)
