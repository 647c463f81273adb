"""nginx: a bare hop without any knowledge of MCP, the floor of all ratios."""

from pathlib import Path
from typing import Final

from ostiary_compare.gateway import UNGOVERNED, Gateway, Mode, Started, Surroundings, free_port, printed
from ostiary_compare.requests import Endpoint


def _start(given: Surroundings) -> Started:
    port = free_port()
    config = given.write("nginx/nginx.conf", port=port)
    process = given.start("nginx", given.program, "-c", config, "-e", given.directory / "error.log", port=port)
    return Started(process, Endpoint(f"http://127.0.0.1:{port}/mcp", {}))


def _version(program: Path) -> str:
    return printed(program, "-v").rpartition("/")[2]


NGINX: Final = Gateway(
    "nginx",
    "nginx",
    "Install nginx-light from Debian, or nginx from your distribution.",
    (Mode(UNGOVERNED, "`proxy_pass`, nothing else", _start),),
    _version,
)
