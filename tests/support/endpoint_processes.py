"""Endpoints of one MCP server as processes that a test may kill or stop, as a node or a hypervisor does.

with endpoint_processes(8) as endpoints:
    endpoints[0].kill()      # SIGKILL, and it is gone when this returns
    endpoints[1].stop()      # it takes connections and requests, and is silent until it goes on
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scripted_server import read_request


@dataclass(frozen=True, slots=True)
class EndpointProcess:
    """One endpoint: its process and its port on loopback."""

    process: subprocess.Popen[str]
    port: int

    @property
    def place(self) -> dict[str, Any]:
        """What a config names it by."""
        return {"address": "127.0.0.1", "port": self.port}

    def kill(self) -> None:
        """End it without notice; its connections are closed when this returns."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Let it hang: its kernel accepts connections, and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def endpoint_processes(count: int) -> Iterator[list[EndpointProcess]]:
    """Run endpoints, each of which answers a call with its process id."""
    command = [sys.executable, __file__]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        lines = [each.stdout.readline() for each in started if each.stdout is not None]
        yield [EndpointProcess(each, int(line)) for each, line in zip(started, lines, strict=True)]
    finally:
        for each in started:
            each.kill()
            each.wait()
            if each.stdout is not None:
                each.stdout.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            _, body = await read_request(reader)
            result = {"content": [{"type": "text", "text": str(os.getpid())}], "resultType": "complete"}
            text = json.dumps({"jsonrpc": "2.0", "id": json.loads(body)["id"], "result": result}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
            writer.write(head.encode() + text)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
