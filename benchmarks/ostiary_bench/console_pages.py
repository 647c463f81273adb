"""What the console costs on a platform of many proxies: the section "Console" of docs/benchmarks.md."""

import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_bench import scale_probes as probes
from ostiary_bench import scale_resources
from ostiary_bench.scale_resources import ScaleWorkload
from ostiary_tools.cluster import port_assignment
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.ports import reserve_port

TITLE: Final = "## Console"
_SECTION: Final = """{title}

A real API server and an operator as above, and `ostiary console` with a kubeconfig. `make bench ONLY=console` runs it,
`SIZES=1000` chooses the sizes.

Measured {at} on {machine}.

{table}

Page: `/` with its first 50 rows, when nothing of the cluster is in the console's memory (two seconds), so that all
MCPProxies are listed and the manifest of each gateway is read; and again at once. The command is a new process, as
users start it; the console runs already. Ratios are those of medians of {rounds} rounds, one after the other in turns.
Memory is after all pages."""
_ROUNDS: Final = 7
#: Seconds after which the console has forgotten what it listed.
_FORGOTTEN: Final = 6.0
_TOKEN: Final = "token-of-the-benchmark"  # noqa: S105  of a process that lives for a minute


@dataclass(frozen=True, slots=True)
class ConsoleCost:
    """The figures of one size: seconds, bytes, and MiB."""

    proxies: int
    policies: int
    command: float
    page: float
    page_again: float
    page_bytes: int
    memory: float
    peak: float

    @property
    def ratio(self) -> float:
        """The page as a multiple of the command."""
        return self.page / self.command


def measure(sizes: Sequence[int]) -> list[ConsoleCost]:
    """Measure platforms of these numbers of proxies."""
    found = []
    for size in sizes:
        found.append(_measure(size))
        print(f"  {found[-1]}", file=sys.stderr, flush=True)  # larger sizes may be given up
    return found


def section(found: Mapping[str, Any]) -> str:
    """Return the section, from the figures with `at` and `machine`."""
    costs = [ConsoleCost(**each) for each in found["sizes"]]
    lines = [f"| {title} | {' | '.join(cell(each) for each in costs)} |" for title, cell in _ROWS]
    table = "\n".join([lines[0], f"|---|{'---:|' * len(costs)}", *lines[1:]])
    return _SECTION.format(title=TITLE, at=str(found["at"])[:10], machine=found["machine"], table=table, rounds=_ROUNDS)


def document(costs: Sequence[ConsoleCost]) -> list[dict[str, Any]]:
    """Return the figures as JSON."""
    return [asdict(each) for each in costs]


_ROWS: Final[Sequence[tuple[str, Callable[[ConsoleCost], str]]]] = (
    ("proxies / policies", lambda it: f"{it.proxies:,} / {it.policies:,}"),
    ("`ostiary get proxies -A`", lambda it: f"{1000 * it.command:,.0f} ms"),
    ("page", lambda it: f"{1000 * it.page:,.0f} ms, {it.ratio:.2f}x"),
    ("page again", lambda it: f"{1000 * it.page_again:,.0f} ms"),
    ("size of the page", lambda it: f"{it.page_bytes / 1024:,.0f} KiB"),
    ("memory of the console, and peak", lambda it: f"{it.memory:.0f}, {it.peak:.0f} MiB"),
)


def _measure(proxies: int) -> ConsoleCost:
    with (
        tempfile.TemporaryDirectory() as directory,
        LocalCluster(Path(directory) / "cluster", ports=port_assignment.free(1)) as cluster,
    ):
        workload = ScaleWorkload(proxies, cluster.mock_url)
        print(f"  {proxies:,} proxies: creating them", file=sys.stderr, flush=True)
        scale_resources.populate(cluster.control_plane, workload)
        probes.until(
            lambda: probes.is_applied(probes.metrics(cluster)), what="all statuses to be written", seconds=900, poll=0.5
        )
        return _of_platform(cluster, workload)


def _of_platform(cluster: LocalCluster, workload: ScaleWorkload) -> ConsoleCost:
    kubeconfig = str(cluster.control_plane.kubeconfig)
    command, page, again, size = [], [], [], 0
    with _console(kubeconfig) as (process, url):
        for path in ("/limits", "/traffic", "/calls", "/would-deny"):
            _get(url + path)
        for _ in range(_ROUNDS):
            command.append(_timed(lambda: _ostiary("get", "proxies", "-A", kubeconfig=kubeconfig)))
            time.sleep(_FORGOTTEN)
            page.append(_timed(lambda: _get(f"{url}/")))
            again.append(_timed(lambda: _get(f"{url}/")))
            size = len(_get(f"{url}/"))
        memory, peak = probes.memory(process.pid)
    return ConsoleCost(
        workload.proxies,
        workload.policies,
        command=statistics.median(command),
        page=statistics.median(page),
        page_again=statistics.median(again),
        page_bytes=size,
        memory=memory,
        peak=peak,
    )


@contextmanager
def _console(kubeconfig: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = reserve_port()
    arguments = ["console", "--port", str(port), "--console-token", _TOKEN, "--kubeconfig", kubeconfig]
    process = subprocess.Popen(
        [sys.executable, "-m", "ostiary_operator.cli", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        probes.until(lambda: _answers(f"{url}/"), what="the console to answer", seconds=60, poll=0.2)
        yield process, url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        return bool(_get(url))
    except OSError:
        return False


def _get(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {_TOKEN}"})  # noqa: S310  of loopback
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310  likewise
        body: bytes = response.read()
    return body


def _ostiary(*arguments: str, kubeconfig: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "ostiary_operator.cli", *arguments, "--kubeconfig", kubeconfig],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
