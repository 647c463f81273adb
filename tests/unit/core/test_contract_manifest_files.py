import gzip

import pytest

from ostiary_core.canonical import canonical, digest
from ostiary_core.contract import manifest_files
from ostiary_core.contract.manifest import EntryReference, GatewayIdentity, Manifest, parse_manifest
from ostiary_core.contract.parts import COMPRESS_ABOVE
from ostiary_core.errors import ContractError


def manifest(entries: int) -> bytes:
    references = [
        EntryReference(proxy=f"ns/p{n:05d}", uid=digest(b"uid%d" % n)[:36], digest=digest(b"%d" % n))
        for n in range(entries)
    ]
    identity = GatewayIdentity(namespace="sys", name="gw")
    return Manifest(gateway=identity, revision=1, settings="s", parts=["p"], entries=references).canonical()


def test_a_small_manifest_is_one_readable_file() -> None:
    assert manifest_files.write(manifest(3)) == {"manifest.json": manifest(3)}
    assert manifest_files.read({"manifest.json": manifest(3)}) == manifest(3)


def test_a_manifest_of_five_thousand_proxies_leaves_room_for_a_part_in_one_config_map() -> None:
    files = manifest_files.write(manifest(5000))
    assert len(manifest(5000)) > 2**19
    assert sum(map(len, files.values())) < 2**19
    assert manifest_files.read(files) == manifest(5000)
    assert files == manifest_files.write(manifest(5000))


def test_a_reader_that_knows_readable_manifests_only_says_that_it_does_not_know_this_version() -> None:
    pointer = manifest_files.write(manifest(5000))["manifest.json"]
    with pytest.raises(ContractError, match="version"):
        parse_manifest(pointer)


def test_what_lies_compressed_beside_a_readable_manifest_is_not_looked_at() -> None:
    files = {**manifest_files.write(manifest(3)), "manifest.json.gz": b"left over"}
    assert manifest_files.read(files) == manifest(3)


def test_a_manifest_that_no_config_map_could_hold_is_refused_with_the_remedy() -> None:
    with pytest.raises(ContractError, match="several gateways"):
        manifest_files.write(manifest(16_000))


@pytest.mark.parametrize(
    "packed", [None, b"", b"not gzip", gzip.compress(b"x" * COMPRESS_ABOVE, mtime=0)[:-5]], ids=str
)
def test_a_compressed_manifest_that_is_missing_or_broken_is_refused(packed: bytes | None) -> None:
    pointer = canonical({"version": manifest_files.PACKED_VERSION})
    files = {"manifest.json": pointer} | ({"manifest.json.gz": packed} if packed is not None else {})
    with pytest.raises(ContractError, match=r"manifest\.json"):
        manifest_files.read(files)


def test_a_bomb_is_not_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_files, "_MAX_UNFOLDED_BYTES", 1000)
    pointer = canonical({"version": manifest_files.PACKED_VERSION})
    with pytest.raises(ContractError, match="larger than 1000"):
        manifest_files.read({"manifest.json": pointer, "manifest.json.gz": gzip.compress(b"x" * 100_000)})


def test_where_there_is_no_manifest_that_is_said() -> None:
    with pytest.raises(ContractError, match="no manifest"):
        manifest_files.read({"manifest.json.gz": b"alone"})
