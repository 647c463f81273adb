"""The stylesheet, the script and the icon: read once, and addressed by their content.

So browsers may keep them, and a new version of the console is a new address.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

_FOLDER: Final = Path(__file__).parent / "static"
_MEDIA_TYPES: Final = {".css": "text/css", ".mjs": "text/javascript", ".svg": "image/svg+xml"}
_KEEP: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file. ``digest`` is of its content."""

    content: bytes
    media_type: str
    digest: str


class StaticFiles:
    """All files of the folder ``static``, in memory."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._files = {each.name: _read(each) for each in sorted(folder.iterdir()) if each.suffix in _MEDIA_TYPES}

    def url(self, name: str) -> str:
        """Return the path of a file, which changes with its content."""
        return f"/static/{name}?{self._files[name].digest}"

    async def serve(self, request: web.Request) -> web.Response:
        """Answer ``/static/{name}``.

        Raises:
            web.HTTPNotFound: there is no such file.
        """
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        keep = _KEEP if request.query_string == file.digest else "no-cache"
        headers = {"Cache-Control": keep, "ETag": f'"{file.digest}"'}
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.content, content_type=file.media_type, charset="utf-8", headers=headers)


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    return StaticFile(content, _MEDIA_TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:16])
