import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.canonical import digest
from ostiary_core.contract import parts
from ostiary_core.errors import ContractError

DOCUMENTS = st.lists(st.binary(min_size=1, max_size=200).filter(lambda text: b"\n" not in text), max_size=20).map(
    lambda texts: {digest(text): text for text in texts}
)


def owners(documents: dict[str, bytes]) -> dict[str, str]:
    return {key: f"ns/{key[:4]}" for key in documents}


def unpacked(packed: list[tuple[str, bytes]]) -> dict[str, bytes]:
    return {
        key: text
        for name, content in packed
        for key, text in parts.read(name, content, limit=1 << 30).documents.items()
    }


@given(DOCUMENTS)
def test_documents_travel_unchanged(documents: dict[str, bytes]) -> None:
    lines = parts.spread(documents, owners(documents))

    assert unpacked([parts.pack(number, part) for number, part in enumerate(lines)]) == documents


@given(DOCUMENTS)
def test_the_order_of_documents_never_changes_a_byte(documents: dict[str, bytes]) -> None:
    backwards = {key: documents[key] for key in reversed(list(documents))}

    assert parts.spread(backwards, owners(documents)) == parts.spread(documents, owners(documents))


def test_a_small_part_stays_readable_and_a_large_one_is_compressed() -> None:
    assert parts.pack(0, b"x" * parts.COMPRESS_ABOVE) == ("documents-0.jsonl", b"x" * parts.COMPRESS_ABOVE)
    name, content = parts.pack(3, b"x" * (parts.COMPRESS_ABOVE + 1))

    assert name == "documents-3.jsonl.gz"
    assert gzip.decompress(content) == b"x" * (parts.COMPRESS_ABOVE + 1)
    assert content == parts.pack(3, b"x" * (parts.COMPRESS_ABOVE + 1))[1]


def random_documents(count: int, size: int) -> dict[str, bytes]:
    seeds = [b"%d" % number for number in range(count)]
    texts = ["".join(digest(seed + b"%d" % i) for i in range(size // 64)).encode() for seed in seeds]
    return {digest(text): text for text in texts}


def test_a_config_too_large_for_one_part_is_spread_over_several() -> None:
    documents = random_documents(30, 100_000)

    lines = parts.spread(documents, {key: key for key in documents})

    assert len(lines) > 1
    packed = [parts.pack(number, part) for number, part in enumerate(lines)]
    assert all(len(content) <= parts.MAX_PART_BYTES for _, content in packed)
    assert unpacked(packed) == documents


def test_one_edit_touches_one_part() -> None:
    documents = random_documents(30, 100_000)
    names = {key: f"ns/{number}" for number, key in enumerate(documents)}
    before = parts.spread(documents, names)
    edited_key, *_ = documents
    edited = {**documents, digest(b"new"): b"new"}
    del edited[edited_key]
    names[digest(b"new")] = names[edited_key]

    after = parts.spread(edited, names)

    assert sum(old != new for old, new in zip(before, after, strict=True)) == 1


def test_a_config_that_does_not_fit_in_any_number_of_parts_is_refused() -> None:
    with pytest.raises(ContractError, match="does not fit"):
        parts.spread(random_documents(1, 2_000_000), {key: key for key in random_documents(1, 2_000_000)})


@pytest.mark.parametrize("content", [b"", b"not gzip", gzip.compress(b"x" * 1000, mtime=0)[:-5]])
def test_a_broken_compressed_part_is_refused(content: bytes) -> None:
    with pytest.raises(ContractError):
        parts.read("documents-0.jsonl.gz", content, limit=1 << 20)


def test_a_bomb_is_not_decompressed() -> None:
    bomb = gzip.compress(b"x" * (64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ContractError, match="larger than the 1000 bytes"):
            parts.read("documents-0.jsonl.gz", bomb, limit=1000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_the_digest_of_a_part_is_that_of_its_lines() -> None:
    lines = parts.fold(random_documents(9, 64_000))
    for number in (0, 15):
        name, content = parts.pack(number, lines)
        assert parts.read(name, content, limit=len(lines)).digest == digest(lines)


@given(st.binary(max_size=300))
def test_lines_from_any_source_are_parsed_or_refused(lines: bytes) -> None:
    try:
        documents = parts.read("documents-0.jsonl", lines, limit=300).documents
    except ContractError:
        return
    assert all(isinstance(key, str) for key in documents)


def test_a_document_under_a_foreign_digest_is_refused() -> None:
    with pytest.raises(ContractError, match="does not have this digest"):
        parts.check(digest(b"one"), b"two")
