"""The servers to compare with: nginx as upstream and baseline, an aiohttp pass-through."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ostiary_bench import messages
from ostiary_bench.probes import answers
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

#: The cores that this process may use.
CORES: Final = sorted(os.sched_getaffinity(0))
#: One core for what is measured, the other for load and upstream: the same one where there is no other.
MEASURED_CORE: Final = str(CORES[0])
OTHER_CORE: Final = str(CORES[-1])

_NGINX: Final = """
daemon off; master_process off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log error;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  {content}
}}
"""
#: The responses of the upstream, one path each. ``list-200-new`` hardly ever returns the same list twice.
KINDS: Final = ("call-json", "call-sse", "list-15", "list-200", "list-200-new")
#: Those of a server of the handshake revisions, which opens a session with its response to initialize.
SESSION_KINDS: Final = ("session-json", "session-sse")
#: The number of lists, of which one is chosen at random: far more than a gateway caches of one server.
_VARIANTS: Final = 400
_SHARES: Final = " ".join(f"{100 / _VARIANTS:g}% {n};" for n in range(_VARIANTS - 1)) + f" * {_VARIANTS - 1};"
#: A request without a session is one to initialize, and gets a new session.
_SESSIONS: Final = (
    'map $http_mcp_session_id $opens { "" "-initialize"; default ""; } '
    'map $http_mcp_session_id $opened { "" $request_id; default ""; } '
)
_LOCATION: Final = "location /{name} {{ default_type {type}; alias {file}; error_page 405 =200 /{name}; {more}}}"


#: The type of the responses of a server with sessions, and how they are written.
_FORMS: Final[Mapping[str, tuple[str, Callable[[bytes], bytes]]]] = {
    "session-json": ("application/json", bytes),
    "session-sse": ("text/event-stream", messages.as_event),
}


def on_core(core: str, *command: str | Path) -> list[str | Path]:
    """Return a command bound to one core."""
    return ["taskset", "-c", core, *command]


def find(program: str) -> str:
    """Return the path of a system program.

    Raises:
        ToolError: it is missing; the message names the package.
    """
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise ToolError(
            f"{program} is missing: install it from your distribution (Debian: apt-get install nginx-light wrk)"
        )
    return found


class Upstream:
    """nginx with the responses as files, one path for each of :data:`KINDS`.

    So have :data:`SESSION_KINDS`. It listens on as many ``addresses`` of loopback, at one port. ``more`` are further
    responses of JSON, by path.
    """

    def __init__(self, directory: Path, *, addresses: int = 1, more: Mapping[str, bytes] | None = None) -> None:
        self.port = reserve_port()
        answer = messages.answer(messages.RESULT)
        files = {
            "call-json": ("application/json", answer),
            "call-sse": ("text/event-stream", messages.as_event(answer)),
            "users": ("application/json", messages.encoded({"text": messages.TEXT})),
            "list-15": ("application/json", messages.answer(messages.tools(15))),
            "list-200": ("application/json", messages.answer(messages.tools(200))),
            **{path: ("application/json", content) for path, content in (more or {}).items()},
        }
        locations = []
        for name, (kind, content) in files.items():
            (directory / name).write_bytes(content)
            locations.append(_LOCATION.format(name=name, type=kind, file=directory / name, more=""))
        locations.append(_changing_list(directory, "list-200-new"))
        locations += [_sessions(directory, name) for name in SESSION_KINDS]
        server = f"{_SESSIONS} split_clients $request_id $variant {{ {_SHARES} }} "
        listen = " ".join(f"listen 127.0.0.{number + 1}:{self.port} backlog=1024;" for number in range(addresses))
        server += f"server {{ {listen} {' '.join(locations)} }}"
        self.process = nginx(directory / "upstream", server, core=OTHER_CORE, port=self.port)

    def url(self, name: str) -> str:
        """Return the URL of one of the responses."""
        return f"http://127.0.0.1:{self.port}/{name}"


def _changing_list(directory: Path, name: str) -> str:
    """Write the variants of a list and return the location that serves one of them at random."""
    for number in range(_VARIANTS):
        (directory / f"{name}-{number}").write_bytes(messages.answer(messages.tools(200, number)))
    return _LOCATION.format(name=name, type="application/json", file=directory / f"{name}-$variant", more="")


def _sessions(directory: Path, name: str) -> str:
    """Write the responses of a server with sessions and return its location."""
    kind, written = _FORMS[name]
    (directory / name).write_bytes(written(messages.answer(messages.RESULT)))
    (directory / f"{name}-initialize").write_bytes(written(messages.answer(messages.INITIALIZED)))
    more = "add_header Mcp-Session-Id $opened; "
    return _LOCATION.format(name=name, type=kind, file=f"{directory / name}$opens", more=more)


def nginx(directory: Path, content: str, *, core: str, port: int) -> Process:
    """Start nginx with this configuration and wait until it listens."""
    directory.mkdir()
    config = directory / "nginx.conf"
    config.write_text(_NGINX.format(directory=directory, content=content))
    process = Process("nginx", on_core(core, find("nginx"), "-c", config), log=directory / "log")
    wait_until(lambda: answers(port), what="nginx", processes=[process])
    return process


def nginx_proxy(directory: Path, upstream: Upstream) -> tuple[Process, int]:
    """Start the baseline: nginx that forwards everything on kept connections."""
    port = reserve_port()
    content = (
        f"upstream up {{ server 127.0.0.1:{upstream.port}; keepalive 128; keepalive_requests 100000000; }} "
        f"server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ proxy_pass http://up; proxy_http_version 1.1; "
        'proxy_set_header Connection ""; proxy_buffering off; } }'
    )
    return nginx(directory / "floor", content, core=MEASURED_CORE, port=port), port


def aiohttp_proxy(directory: Path, upstream: Upstream) -> tuple[Process, int]:
    """Start the comparison: a minimal pass-through with aiohttp's server and client."""
    port = reserve_port()
    script = Path(__file__).with_name("pass_through.py")
    command = on_core(MEASURED_CORE, sys.executable, script, str(port), f"http://127.0.0.1:{upstream.port}")
    process = Process("pass-through", command, log=directory / "pass-through.log")
    wait_until(lambda: answers(port), what="the aiohttp pass-through", processes=[process])
    return process, port
