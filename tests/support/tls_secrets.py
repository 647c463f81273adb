"""A Secret of type kubernetes.io/tls, mounted as the kubelet mounts it and renewed as cert-manager renews it.

secret = MountedSecret(tmp_path)
secret.renew("first.example.com")
secret.files, secret.authority
"""

import datetime as dt
import tempfile
from pathlib import Path

from volumes import swap_in

from ostiary_gateway.options import TlsFiles
from ostiary_tools.cluster.certificates import write_authority_and_server


class MountedSecret:
    """``tls.crt`` and ``tls.key`` as links through ``..data``, which is swapped in one step."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "mount"
        self.directory.mkdir()
        for name in ("tls.crt", "tls.key"):
            (self.directory / name).symlink_to(f"..data/{name}")
        self.files = TlsFiles(self.directory / "tls.crt", self.directory / "tls.key")
        self.authority = directory / "ca.crt"
        self._drafts = directory

    def draft(self, *names: str, days: int = 30) -> dict[str, bytes]:
        """A new certificate for these names and 127.0.0.1, of a new authority, which `authority` then is."""
        folder = Path(tempfile.mkdtemp(dir=self._drafts))
        lifetime = dt.timedelta(days=days)
        write_authority_and_server(folder, names=names, addresses=["127.0.0.1"], lifetime=lifetime)
        self.authority = folder / "ca.crt"
        return {"tls.crt": (folder / "server.crt").read_bytes(), "tls.key": (folder / "server.key").read_bytes()}

    def place(self, files: dict[str, bytes]) -> None:
        """Swap in a version with these files."""
        swap_in(self.directory, files)

    def renew(self, *names: str, days: int = 30) -> None:
        """Swap in a new certificate that is valid for so long."""
        self.place(self.draft(*names, days=days))
