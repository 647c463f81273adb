"""Spellings of resources: what one resource can be called, and servers on both official SDKs that take each for it.

The servers keep two files, `file:///docs/readme.md` and `file:///secret/key`, and are as generous as servers are:
they parse the URI as their SDK does, decode its path, resolve it and ignore the rest.
"""

import json
import posixpath
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

from mcp import MCPError
from mcp.server.lowlevel.server import Server
from mcp.types import ReadResourceRequestParams, ReadResourceResult, TextResourceContents
from pydantic import AnyUrl
from sdk_server import serving_app
from typescript_sdk import node_server

SECRET = "not for any caller"
FILES = {"/docs/readme.md": "welcome", "/docs/a b.md": "blank", "/secret/key": SECRET}

#: Each may be `file:///secret/key` to a server. None may be read where that is denied, nor where only docs are allowed.
SECRETS = [
    "file:///secret/key",
    "file:///docs/../secret/key",
    "file:///docs/./../secret/key",
    "file:///docs/x/../../secret/key",
    "file:///docs/%2e%2e/secret/key",
    "file:///docs/%2E./secret/key",
    "file:///docs/..%2fsecret/key",
    "file:///docs/%2e%2e%2Fsecret%2Fkey",
    "file:///docs/..\\secret\\key",
    "file:///docs/..%5csecret%5ckey",
    "file:///docs\\..\\secret/key",
    "file:///docs/.\t./secret/key",
    "file:///docs/.\r./secret/key",
    "file:///docs/.\n./secret/key",
    "file:///docs/C:/../../secret/key",
    "file:///docs/C|/../../secret/key",
    "FILE:///secret/key",
    "fIlE:///docs/../secret/key",
    "file:/secret/key",
    "file:secret/key",
    "file:////secret/key",
    "file://///secret//key",
    "file://localhost/secret/key",
    "file://LOCALHOST/secret/key",
    "file://127.0.0.1/secret/key",
    "file://elsewhere.example/secret/key",
    "file:\\\\\\secret\\key",
    "file:///\\secret/key",
    " file:///secret/key",
    "file:///secret/key ",
    "\x00\x1ffile:///secret/key",
    "fi\nle:///secret/key",
    "file:///sec\tret/key",
    "file:///./secret/key",
    "file:///secret/./key",
    "file:///secret//key",
    "file:///secr%65t/key",
    "file:///%73%65%63%72%65%74/key",
    "file:///%2fsecret/key",
    "file:///secret%2fkey",
    "file:///secret/key?",
    "file:///secret/key?a.md",
    "file:///secret/key#a.md",
    "file:///secret/key/",
    "file:///secret/key/.",
    "file:///secret/x/../key",
]

#: What callers of plain servers send, and what it is.
PLAIN = {
    "file:///docs/readme.md": "welcome",
    "file:///docs/a%20b.md": "blank",
    "file:///docs/sub/../readme.md": "welcome",
    "file:///docs/./readme.md": "welcome",
}


def _found(uri: str) -> str | None:
    path = posixpath.normpath(unquote(urlsplit(str(AnyUrl(uri))).path).replace("\\", "/"))
    return FILES.get("/" + path.lstrip("/"))


async def _read(_: object, params: ReadResourceRequestParams) -> ReadResourceResult:
    text = _found(str(params.uri))
    if text is None:
        raise MCPError(-32002, "Resource not found")
    return ReadResourceResult(contents=[TextResourceContents(uri=params.uri, text=text)])


@asynccontextmanager
async def python_files() -> AsyncIterator[str]:
    """The server on the Python SDK; yields its endpoint."""
    app = Server("files", version="1", on_read_resource=_read).streamable_http_app(json_response=True)
    async with serving_app(app) as url:
        yield url


@asynccontextmanager
async def typescript_files() -> AsyncIterator[str]:
    """The server on the TypeScript SDK, in a process of its own; yields its endpoint."""
    async with node_server("files", json.dumps(FILES)) as url:
        yield url
