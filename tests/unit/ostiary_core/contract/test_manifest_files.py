import gzip
import tracemalloc

import pytest

from ostiary_core.canonical import canonical, digest
from ostiary_core.contract import manifest_files
from ostiary_core.contract.manifest import EntryReference, GatewayIdentity, Manifest, parse_manifest
from ostiary_core.contract.parts import COMPRESS_ABOVE
from ostiary_core.errors import ContractError

KEYS = {"mac-1": b"k" * 32}


def manifest(entries: int) -> bytes:
    references = [
        EntryReference(proxy=f"ns/p{n:05d}", uid=digest(b"uid%d" % n)[:36], digest=digest(b"%d" % n))
        for n in range(entries)
    ]
    identity = GatewayIdentity(namespace="sys", name="gw")
    return Manifest(gateway=identity, revision=1, settings="s", parts=["p"], entries=references).canonical()


def written(entries: int) -> dict[str, bytes]:
    return manifest_files.write(manifest(entries), key_name="mac-1", key=KEYS["mac-1"])


def test_a_small_manifest_is_one_readable_file() -> None:
    assert written(3) == {"manifest.json": manifest(3)}
    assert manifest_files.read({"manifest.json": manifest(3)}, KEYS) == manifest(3)


def test_a_manifest_of_five_thousand_proxies_leaves_room_for_a_part_in_one_config_map() -> None:
    files = written(5000)
    assert len(manifest(5000)) > 2**19
    assert sum(map(len, files.values())) < 2**19
    assert manifest_files.read(files, KEYS) == manifest(5000)
    assert files == written(5000)


def test_a_reader_of_the_older_manifest_format_refuses_the_version_as_unknown() -> None:
    pointer = written(5000)["manifest.json"]
    with pytest.raises(ContractError, match="version"):
        parse_manifest(pointer)


def test_a_compressed_manifest_next_to_a_readable_one_is_ignored() -> None:
    files = {**written(3), "manifest.json.gz": b"left over"}
    assert manifest_files.read(files, KEYS) == manifest(3)


def test_a_manifest_that_no_config_map_could_hold_is_refused_with_the_remedy() -> None:
    with pytest.raises(ContractError, match="several gateways"):
        written(16_000)


@pytest.mark.parametrize(
    "packed", [None, b"", b"not gzip", gzip.compress(b"x" * COMPRESS_ABOVE, mtime=0)[:-5]], ids=str
)
def test_a_compressed_manifest_that_is_missing_or_broken_is_refused(packed: bytes | None) -> None:
    pointer = canonical({"version": manifest_files.PACKED_VERSION})
    files = {"manifest.json": pointer} | ({"manifest.json.gz": packed} if packed is not None else {})
    with pytest.raises(ContractError, match=r"manifest\.json"):
        manifest_files.read(files, KEYS)


BOMB = gzip.compress(b"x" * (64 << 20))


@pytest.mark.parametrize("sealed", [True, False])
def test_a_bomb_is_not_decompressed(*, sealed: bool) -> None:
    files = {**written(5000), "manifest.json.gz": BOMB}
    if not sealed:
        del files["manifest.seal.json"]
    tracemalloc.start()
    try:
        with pytest.raises(ContractError, match="MAC does not fit" if sealed else "larger than the 8388608 bytes"):
            manifest_files.read(files, KEYS)
        assert tracemalloc.get_traced_memory()[1] < (1 << 20 if sealed else 20 << 20)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("seal", "complaint"),
    [
        ({"unfolded": 1 << 40, "mac": {"key": "mac-1", "value": "0" * 64}}, "MAC does not fit"),
        ({"unfolded": 1 << 40, "mac": {"key": "mac-9", "value": "0" * 64}}, "the Secret does not hold"),
        ({"unfolded": 1 << 40}, "manifest seal: mac"),
    ],
)
def test_a_compressed_manifest_with_a_wrong_seal_is_not_decompressed(seal: dict[str, object], complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        manifest_files.read({**written(5000), "manifest.seal.json": canonical(seal)}, KEYS)


def test_what_an_earlier_operator_compressed_without_a_seal_is_read() -> None:
    files = written(5000)
    del files["manifest.seal.json"]
    assert manifest_files.read(files, KEYS) == manifest(5000)


def test_a_reader_without_the_keys_reads_a_compressed_manifest_too() -> None:
    assert manifest_files.read(written(5000), None) == manifest(5000)


def test_a_missing_manifest_is_reported() -> None:
    with pytest.raises(ContractError, match="no manifest"):
        manifest_files.read({"manifest.json.gz": b"alone"}, KEYS)


def test_a_seal_that_is_larger_than_any_seal_is_not_parsed() -> None:
    members = b",".join(b'"%d":1' % number for number in range(100_000))
    with pytest.raises(ContractError, match="a seal may take"):
        manifest_files.read({**written(5000), "manifest.seal.json": b"{" + members + b"}"}, KEYS)
