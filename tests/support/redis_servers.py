"""Real Redis processes: one server, one with TLS and an ACL user, Sentinels, and a Cluster.

Each listens on loopback, keeps nothing on disk, has a bound on its memory, and ends with the block.

    with redis_server(directory) as server:
        server.address, server.kill(), server.start(), server.pause(), server.resume()
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import redis
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.toolchain import debian

#: All slots of a Cluster.
_SLOTS = 16384


def free_port() -> int:
    """Return a port of loopback that nothing listens on; a Cluster's bus takes the port 10000 above it."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 50_000:
            return port


@dataclass
class RedisServer:
    """One process; it can be killed, and started again at the same port, where it remembers nothing."""

    directory: Path
    arguments: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    tls: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = None
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens, as in a gateway's settings."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        ports = ("--port", "0", "--tls-port", str(self.port)) if self.tls else ("--port", str(self.port))
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxmemory", "64mb")
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                (str(debian.ensure("redis-server")["redis-server"]), *ports, *options, *self.tls, *self.arguments),
                cwd=self.directory,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers)

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.ResponseError:
                return True  # it wants a password
            except redis.RedisError:
                return False

    def client(self) -> redis.Redis:
        """Return a client for the test itself."""
        extra = {"ssl": True, "ssl_cert_reqs": "none", "ssl_check_hostname": False} if self.tls else {}
        return redis.Redis(port=self.port, username=self.username, password=self.password, **extra)  # type: ignore[arg-type]

    def pause(self) -> None:
        """Let it accept connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without warning."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def _signal(self, number: int) -> None:
        if self._process is None:
            raise AssertionError("it is not running")
        os.kill(self._process.pid, number)


@contextlib.contextmanager
def redis_server(directory: Path, *arguments: str, tls: tuple[str, ...] = ()) -> Iterator[RedisServer]:
    """Run one server."""
    server = RedisServer(directory / "redis", arguments, tls=tls)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass
class SentinelSetup:
    """A primary with a replica, and a Sentinel that watches them under the name ``limits``."""

    primary: RedisServer
    replica: RedisServer
    sentinel: RedisServer

    def primary_port(self) -> int:
        """Return the port of the primary that the Sentinel names."""
        with self.sentinel.client() as client:
            return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "limits")[1])


@contextlib.contextmanager
def redis_with_sentinel(directory: Path) -> Iterator[SentinelSetup]:
    """Run a primary, a replica and a Sentinel that makes the replica the primary within a second."""
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(redis_server(directory / "primary"))
        follow = ("--replicaof", f"127.0.0.1 {primary.port}")
        replica = stack.enter_context(redis_server(directory / "replica", *follow))
        wait_until(lambda: replica.client().info("replication")["master_link_status"] == "up")
        sentinel = RedisServer(directory / "sentinel")
        sentinel.directory.mkdir(parents=True)
        config = sentinel.directory / "sentinel.conf"
        config.write_text(
            f"port {sentinel.port}\nbind 127.0.0.1\nsentinel monitor limits 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds limits 500\nsentinel failover-timeout limits 3000\n"
        )
        with (sentinel.directory / "log").open("ab") as log:
            program = str(debian.ensure("redis-server")["redis-server"])
            sentinel._process = subprocess.Popen((program, str(config), "--sentinel"), stdout=log, stderr=log)
        stack.callback(sentinel.kill)
        setup = SentinelSetup(primary, replica, sentinel)
        wait_until(lambda: sentinel._answers() and _knows_replica(sentinel))
        yield setup


def _knows_replica(sentinel: RedisServer) -> bool:
    with sentinel.client() as client:
        return len(client.execute_command("SENTINEL", "REPLICAS", "limits")) > 0


@contextlib.contextmanager
def redis_cluster(directory: Path, *, nodes: int = 3) -> Iterator[list[RedisServer]]:
    """Run a Cluster of primaries, which share all slots."""
    with contextlib.ExitStack() as stack:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
        servers = [stack.enter_context(redis_server(directory / str(number), *options)) for number in range(nodes)]
        share = _SLOTS // nodes
        for number, server in enumerate(servers):
            last = _SLOTS - 1 if number == nodes - 1 else (number + 1) * share - 1
            with server.client() as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
        wait_until(lambda: all(_is_whole(server, nodes) for server in servers))
        yield servers


def _is_whole(server: RedisServer, nodes: int) -> bool:
    with server.client() as client:
        told = client.execute_command("CLUSTER", "INFO")
        text = told.decode() if isinstance(told, bytes) else str(told)
    return "cluster_state" in text and f"{nodes}" in text and ("'ok'" in text or ":ok" in text)


def wait_until(holds: "object") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            if holds():  # type: ignore[operator]
                return
        except redis.RedisError:
            pass
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)
