"""`make cluster`: runs Ostiary on a Kubernetes control plane without containers.

PORT, ADMIN_PORT and MOCK_PORT set its ports; OTEL_* variables are passed to the gateways and the mock server.
"""

import argparse
import contextlib
import fcntl
import os
import re
import shlex
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ostiary_tools.cluster import port_assignment
from ostiary_tools.cluster.stack import EXAMPLE, EXAMPLE_PROXY, ROOT, LocalCluster
from ostiary_tools.cluster.workloads import GATEWAY
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.processes import Process, ProcessDiedError
from ostiary_tools.common.progress import say
from ostiary_tools.toolchain import binaries

_LINE = re.compile(r"\d{4}-\d\d-\d\d (?P<time>\d\d:\d\d:\d\d),\d+ (?P<level>[A-Z]+) +(?P<logger>\S+): (?P<message>.*)")
__all__ = ["LocalCluster"]
_DIRECTORY = ROOT / ".cluster"
_PERIOD = 0.2  # seconds between two checks of logs and processes
_CHECKPOINTS = "ostiary_gateway.audit.published_checkpoints"


def main() -> int:
    """Start a cluster, print what to try, and run it until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m ostiary_tools.cluster.main",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--directory", type=Path, default=_DIRECTORY, help="where state, keys and logs go (default: .cluster)"
    )
    directory = parser.parse_args().directory.absolute()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with _exclusive(directory):
            _serve(directory)
    except ToolError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("Ended.")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, and ignore further signals.

    The shutdown has its own time limits.
    """
    del number, frame
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def _exclusive(directory: Path) -> Iterator[None]:
    """Lock the directory: a second cluster would remove the files of the first.

    Raises:
        ToolError: another cluster runs there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ToolError(f"another cluster runs in {directory}: end it first (Ctrl-C)") from None
        yield


def _serve(directory: Path) -> None:
    ports = port_assignment.chosen()
    binaries.ensure()
    say("Starting etcd, kube-apiserver and kube-controller-manager, installing the chart, starting Ostiary …")
    tracing = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    values = {"secretNamespaces": ["default"]}  # for API keys in the namespace of the example
    env = dict.fromkeys(("operator", "gateway", "mock-server"), tracing)
    cluster = LocalCluster(directory, ports=ports, values=values, env=env)
    with cluster:
        _link_programs(directory / "bin")
        cluster.apply(EXAMPLE)
        cluster.wait_until_ready()
        print(welcome(cluster), flush=True)
        try:
            _watch(cluster)
        finally:
            say("\nEnding …")


def _link_programs(folder: Path) -> None:
    """Link kubectl and helm into a folder for PATH: the machine may have none, or older ones."""
    folder.mkdir(exist_ok=True)
    for name in ("kubectl", "helm"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(binaries.ensure(name)[name])


def welcome(cluster: LocalCluster) -> str:
    """Return the text that is shown when all is up.

    Endpoints, the use of kubectl, and what to try.
    """
    folder = _shell_path(cluster.control_plane.directory)
    first_gateway = cluster.processes["gateway-1"].pid
    endpoints = "\n".join(f"  {cluster.endpoint(n).replace('127.0.0.1', 'localhost')}" for n in cluster.replicas)
    return f"""
MCPProxy {EXAMPLE_PROXY} is ready. Its endpoint, at each of the gateway's replicas:

{endpoints}

In another terminal, in this folder:

  export KUBECONFIG={folder}/kubeconfig PATH={folder}/bin:{_shell_path(Path(sys.executable).parent)}:$PATH

Try it:

  kubectl get mpx -w                  # what is published, and how many replicas run it
  kubectl edit mcppolicy quickstart   # add List to the verbs: delete_user is gone from the list in a moment
  {doctor(cluster)}
  ostiary limits {admin_ports(cluster)}   # what callers used of limits; `ostiary logs NAME` takes the same
  kill -9 {first_gateway:<26}  # a replica dies: the other serves on, and the status shows it within half a minute

The Pods of `kubectl get pods -A` stay Pending: there is no node. Their programs run here, with their service accounts.
Logs are in {folder.removeprefix("$PWD/")}/logs; important lines follow. Ctrl-C ends everything.
"""


def doctor(cluster: LocalCluster) -> str:
    """Return the `ostiary doctor` command for the example.

    Without Pods it needs the addresses of the programs.
    """
    replicas = f"--gateway-replicas {GATEWAY}={','.join(cluster.gateway_admin_urls)}"
    return f"ostiary doctor {EXAMPLE_PROXY} -n default --operator-url {cluster.operator_admin_url} {replicas}"


def admin_ports(cluster: LocalCluster) -> str:
    """Return the arguments that name the replicas to `ostiary limits` and `ostiary logs`.

    Without nodes no EndpointSlice names them.
    """
    return " ".join(f"--admin {url}" for url in cluster.gateway_admin_urls)


def _shell_path(directory: Path) -> str:
    """Return a folder as a shell argument, relative to $PWD if it is below the current folder."""
    here = Path.cwd()
    return f"$PWD/{directory.relative_to(here)}" if directory.is_relative_to(here) else shlex.quote(str(directory))


def _watch(cluster: LocalCluster) -> None:
    """Print important log lines, and processes that die, until interrupted."""
    reader = LogReader({name: cluster.log(name) for name in cluster.processes})
    reader.skip()
    alive: dict[str, Process] = {**cluster.control_plane.processes, **cluster.processes}
    pause = threading.Event()
    while not pause.wait(_PERIOD):
        for line in reader.new_lines():
            print(line, flush=True)
        alive = _survivors(alive)


def _survivors(processes: Mapping[str, Process]) -> dict[str, Process]:
    """Return the processes that run; report those that died, without a restart."""
    for name, process in processes.items():
        try:
            process.check()
        except ProcessDiedError as death:  # its message holds the end of its log
            print(f"\n{textwrap.indent(str(death), '    ').lstrip()}\n{name} is not started again.\n", flush=True)
    return {name: process for name, process in processes.items() if process.running}


@dataclass(slots=True)
class LogReader:
    """Reads the lines that were added to log files since the last read.

    `files` are by process name.
    """

    files: Mapping[str, Path]
    _offsets: dict[str, int] = field(default_factory=dict)
    _rests: dict[str, bytes] = field(default_factory=dict)

    def new_lines(self) -> Iterator[str]:
        """Yield the new important lines, each prefixed with the name of its process."""
        width = max(map(len, self.files))
        for name in self.files:
            for line in self._whole_lines(name):
                if (shown := important(line)) is not None:
                    yield f"{name:<{width}}  {shown}"

    def skip(self) -> None:
        """Skip the lines that exist already."""
        for name in self.files:
            list(self._whole_lines(name))

    def _whole_lines(self, name: str) -> list[str]:
        try:
            with self.files[name].open("rb") as file:
                file.seek(self._offsets.get(name, 0))
                added = file.read()
        except FileNotFoundError:
            return []
        self._offsets[name] = self._offsets.get(name, 0) + len(added)
        *lines, self._rests[name] = (self._rests.get(name, b"") + added).split(b"\n")
        return [line.decode(errors="replace") for line in lines]


def important(line: str) -> str | None:
    """Return a log line as it is shown: time, message, and the level from WARNING on.

    None for any other line, and for checkpoints of audit trails, which each replica logs every ten seconds.

    Lines in another format, such as tracebacks, are printed only when their process dies.
    """
    found = _LINE.fullmatch(line)
    if found is None or found["level"] == "DEBUG":
        return None
    if found["level"] == "INFO" and found["logger"] == _CHECKPOINTS:
        return None
    level = "" if found["level"] == "INFO" else f"{found['level']}: "
    return f"{found['time']}  {level}{found['message']}"


if __name__ == "__main__":
    sys.exit(main())
