"""ContextForge, an MCP gateway and registry in Python. The server is registered through its API."""

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import jwt

from ostiary_bench import messages
from ostiary_compare.gateway import (
    GOVERNED,
    UNGOVERNED,
    Claims,
    Gateway,
    Mode,
    Started,
    Surroundings,
    free_port,
    last_word_printed,
    listening,
)
from ostiary_compare.requests import Endpoint
from ostiary_tools.common.errors import ToolError

_ATTEMPTS: Final = 60
_LIFETIME: Final = 3600


def _start(given: Surroundings, *, mode: str) -> Started:
    port = free_port()
    env = {**_variables(given, "common"), **_variables(given, mode)}
    command = ("mcpgateway.main:app", *listening(port))
    process = given.start("mcpgateway", given.program, *command, port=port, env=env)
    base, token = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {_token(env)}"}
    server = {"name": "up", "url": given.upstream, "transport": "STREAMABLEHTTP", "visibility": "public"}
    _post(f"{base}/gateways", server, token)
    headers = token if mode == GOVERNED else {}
    return Started(process, Endpoint(f"{base}/mcp/", headers, prefix="up-", separator="-"))


def _variables(given: Surroundings, name: str) -> dict[str, str]:
    """Return the environment of a file of `NAME=value` lines."""
    lines = given.write(f"contextforge/{name}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _token(env: Mapping[str, str]) -> str:
    """Return a token of the administrator, as its command for tokens signs one."""
    admin, now = env["PLATFORM_ADMIN_EMAIL"], int(time.time())
    user = {"email": admin, "full_name": "Admin", "is_admin": True, "auth_provider": "cli"}
    claims: dict[str, Any] = {"sub": admin, "username": admin, "user": user, "teams": None, "jti": str(uuid.uuid4())}
    claims |= {"iss": "mcpgateway", "aud": "mcpgateway-api", "iat": now, "exp": now + _LIFETIME}
    return jwt.encode(claims, env["JWT_SECRET_KEY"], algorithm="HS256")


def _post(url: str, document: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """Send a document until it is accepted: the API answers some seconds after the port does.

    Raises:
        ToolError: it is refused, or never accepted.
    """
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, messages.encoded(document), headers)  # noqa: S310  our own URL
    for _ in range(_ATTEMPTS):
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310  our own URL
                json.load(response)
                return
        except urllib.error.HTTPError as error:
            raise ToolError(f"{url} answered {error.code}: {error.read()[:300]!r}") from error
        except OSError:
            time.sleep(1)
    raise ToolError(f"{url} did not answer")


CONTEXTFORGE: Final = Gateway(
    "ContextForge",
    "mcpgateway",
    "`pip install 'mcp-contextforge-gateway[observability]'` into an environment of its own.",
    (
        Mode(UNGOVERNED, "its log", partial(_start, mode=UNGOVERNED)),
        Mode(
            GOVERNED,
            "a token, its spans of every call; no rules, no limit",
            partial(_start, mode=GOVERNED),
            Claims(key=True, spans=1),
        ),
    ),
    lambda program: last_word_printed(program, "--version"),
)
