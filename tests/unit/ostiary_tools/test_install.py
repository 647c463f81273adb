"""What `make` prints while it installs, and where it cannot."""

import socket
import sys
from pathlib import Path

import pytest

from ostiary_tools import install
from ostiary_tools.common.errors import ToolError

LOCK = f"idna==3.10 \\\n    --hash=sha256:{0:064}\n    # via yarl\n"


def test_progress_counts_packages_and_then_says_that_they_are_installed() -> None:
    progress = install.Progress(total=99)
    assert progress.line(0.2) == "  fetched 0 of 99 packages, 0 s so far"
    for name in ("aiohttp", "attrs", "aiohttp"):
        progress.feed(f"Collecting {name}==1.0 (from -r requirements/dev.txt (line 1))")
        progress.feed(f"  Downloading {name}-1.0.whl (3 kB)")
    assert progress.line(12.0) == "  fetched 2 of 99 packages, 12 s so far"
    progress.feed("Installing collected packages: attrs, aiohttp")
    assert progress.line(31.4) == "  installing 99 packages, 31 s so far"


def test_a_silent_package_index_is_reported_once_and_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    progress = install.Progress(total=99)
    for number in range(5):
        progress.feed(f"WARNING: Retrying (Retry(total={4 - number})) after connection broken by 'NewConnectionError'")
    assert capsys.readouterr().err == "  the package index does not answer; pip tries again\n"


def test_without_a_network_the_remedy_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = socket.socket()  # nothing listens there, and nothing else can
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    for name, value in {"INDEX_URL": f"http://127.0.0.1:{port}/simple", "RETRIES": "0", "CACHE_DIR": "off"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    lock = tmp_path / "lock.txt"
    lock.write_text(LOCK)
    with taken, pytest.raises(ToolError) as caught:
        install.install(tmp_path / "venv", lock)
    assert "The package index cannot be reached" in str(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)
    assert "PIP_INDEX_URL" in str(caught.value)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "which index pip uses"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("The virtual environment was not created because ensurepip is not available", "python3-venv"),
        ("Temporary failure in name resolution", "The package index cannot be reached"),
        ("something else", "V=1"),
    ],
)
def test_each_failure_has_its_remedy(said: str, remedy: str) -> None:
    assert remedy in install.remedy(said)


def test_it_needs_nothing_that_is_installed_later() -> None:
    loaded = {name.partition(".")[0] for name in ("argparse", "pathlib", "re", "subprocess", "sys", "time")}
    source = Path(install.__file__).read_text()
    imported = {
        line.split()[1].partition(".")[0] for line in source.splitlines() if line.startswith(("import", "from"))
    }
    assert imported - loaded <= {"collections", "ostiary_tools"} <= sys.stdlib_module_names | {"ostiary_tools"}
