"""Files that only their owner may read."""

import os
from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` with mode 0600 from the first byte on, replacing what was there."""
    path.unlink(missing_ok=True)  # an old file would keep its mode
    data = content.encode() if isinstance(content, str) else content
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
