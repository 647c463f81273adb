"""Files that only their owner may read."""

import os
from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Replace `path` by a file with `content` and, from the first byte on, mode 0600."""
    path.unlink(missing_ok=True)  # an old file would keep its mode
    data = content.encode() if isinstance(content, str) else content
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
