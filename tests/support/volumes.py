"""A mounted ConfigMap or Secret, as the kubelet keeps it: files behind a link `..data`, swapped in one step."""

import tempfile
from collections.abc import Mapping
from pathlib import Path


def swap_in(volume: Path, files: Mapping[str, bytes]) -> Path:
    """Put a version with exactly these files in place; return its directory. The previous version stays next to it."""
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=volume))
    for name, content in files.items():
        (fresh / name).write_bytes(content)
    link = volume / "..data_tmp"
    link.symlink_to(fresh.name)
    link.replace(volume / "..data")
    return fresh


def swap_in_config(volume: Path, files: Mapping[str, bytes], *, secret: Mapping[str, bytes]) -> None:
    """Put a config and the keys of its gateway in place, the keys first and in the folder where a gateway looks."""
    keys = volume / "keys"
    keys.mkdir(exist_ok=True)
    swap_in(keys, secret)
    swap_in(volume, files)
