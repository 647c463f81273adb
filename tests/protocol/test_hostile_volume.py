"""A tenant that may write ConfigMaps next to a gateway cannot choose its costs.

Nothing is decompressed beyond the size in the manifest, and nothing that the manifest does not name.
"""

import asyncio
import zlib
from pathlib import Path

import pytest
from configs import ConfigWriter, entry
from gateway_process import GatewayProcess, gateway_process
from mcp_clients import eventually
from ready_gateway import readiness
from volumes import swap_in_config

from ostiary_core.canonical import canonical, digest
from ostiary_core.contract import manifest_files

MIB = 1024  # KiB


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A part of well-formed lines, of which each MiB is 256."""
    document = b"x" * (1 << 20)
    line = b"%s %s\n" % (digest(document).encode(), document)
    squeeze = zlib.compressobj(level=6, wbits=31)
    content = b"".join(squeeze.compress(line) for _ in range(256)) + squeeze.flush()
    assert len(content) < 1 << 20, "a ConfigMap holds it"
    return content


def peak(gateway: GatewayProcess) -> float:
    """The most memory that the process has had, in KiB."""
    lines = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM"))


async def peak_of(directory: Path, files: dict[str, bytes], operator: ConfigWriter, *, ready: bool) -> float:
    """The peak memory of a gateway that starts with a volume, once it is ready or has refused the config."""
    await asyncio.to_thread(directory.mkdir)
    swap_in_config(directory, files, secret=operator.secret)
    async with gateway_process(directory) as gateway:

        async def settled() -> bool:
            return await readiness(gateway) == 200 if ready else "config rejected" in gateway.log

        await eventually(settled)
        return peak(gateway)


async def test_what_no_manifest_names_is_not_decompressed(tmp_path: Path, bomb: bytes) -> None:
    operator = ConfigWriter()
    files = operator.files(entry("crm"))
    usual = await peak_of(tmp_path / "usual", files, operator, ready=True)
    names = ["documents-0.jsonl.gz", *(f"documents-{n}.jsonl.gz" for n in range(1, 16)), "manifest.json.gz", "else"]
    hostile = await peak_of(tmp_path / "hostile", {**dict.fromkeys(names, bomb), **files}, operator, ready=True)
    assert hostile < usual + 48 * MIB


async def test_a_part_in_place_of_the_named_one_is_decompressed_within_bounds_and_refused(
    tmp_path: Path, bomb: bytes
) -> None:
    operator = ConfigWriter()
    large = operator.files(*(entry(f"p{n}", path=f"/{digest(b'%d' % n)}") for n in range(600)))
    assert "documents-0.jsonl.gz" in large, "its manifest gives the decompressed size of each part"
    usual = await peak_of(tmp_path / "usual", large, operator, ready=True)
    small = {"manifest.json": operator.files(entry("crm"))["manifest.json"]}
    for name, files in (("large", large), ("small", small)):
        hostile = await peak_of(tmp_path / name, {**files, "documents-0.jsonl.gz": bomb}, operator, ready=False)
        assert hostile < usual + 48 * MIB


async def test_an_unsigned_compressed_manifest_is_decompressed_within_bounds_and_refused(
    tmp_path: Path, bomb: bytes
) -> None:
    operator = ConfigWriter()
    usual = await peak_of(tmp_path / "usual", operator.files(entry("crm")), operator, ready=True)
    files = {"manifest.json": canonical({"version": manifest_files.PACKED_VERSION}), "manifest.json.gz": bomb}
    hostile = await peak_of(tmp_path / "hostile", files, operator, ready=False)
    assert hostile < usual + 48 * MIB
