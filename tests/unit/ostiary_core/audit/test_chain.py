"""Lines of a chain: what the hash covers, and what is no link."""

import hashlib
import json

import pytest

from ostiary_core.audit.chain import NO_HASH, Chain, ChainPosition, is_intact, link_of
from ostiary_core.audit.record_layout import EVENT, GAP, KINDS, head_of, kind_of

RECORD = head_of(EVENT) + b'"auditID":"1"}'


def test_a_sealed_line_is_the_record_with_its_place_in_the_chain_as_the_last_member() -> None:
    chain = Chain("gw-0/1700000000000")
    first, second = chain.seal(RECORD), chain.seal(RECORD)
    assert first.endswith(b"}}\n")
    document = json.loads(first)
    assert list(document) == ["apiVersion", "kind", "auditID", "chain"]
    assert document["chain"]["prev"] == NO_HASH
    assert json.loads(second)["chain"] == {
        "id": "gw-0/1700000000000",
        "seq": 2,
        "prev": document["chain"]["hash"],
        "hash": chain.position.hash,
    }


def test_the_hash_is_the_sha256_of_every_byte_before_its_own_member() -> None:
    chain = Chain("gw-0/1")
    line = chain.seal(RECORD)
    covered = line[: line.rindex(b',"hash":')]
    assert hashlib.sha256(covered).hexdigest() == chain.position.hash
    assert b'"seq":1' in covered
    assert b'"id":"gw-0/1"' in covered
    assert NO_HASH.encode() in covered


def test_a_link_is_read_from_the_end_of_a_line() -> None:
    chain = Chain("gw-0/1")
    line = chain.seal(RECORD).rstrip(b"\n")
    link = link_of(line)
    assert link is not None
    assert link.position == chain.position == ChainPosition("gw-0/1", 1, chain.position.hash)
    assert is_intact(line, link)


@pytest.mark.parametrize("at", [0, 5, 40, 70, 100, 150, 160])
def test_one_changed_byte_makes_a_line_not_intact_or_no_link(at: int) -> None:
    line = Chain("gw-0/1").seal(RECORD).rstrip(b"\n")
    changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
    link = link_of(changed)
    assert link is None or not is_intact(changed, link)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        RECORD,
        b"\xff" * 1000,
        RECORD[:-1] + b',"chain":{"id":"a","seq":0,"prev":"' + b"0" * 64 + b'","hash":"' + b"0" * 64 + b'"}}',
        RECORD[:-1] + b',"chain":{"id":"a b","seq":1,"prev":"' + b"0" * 64 + b'","hash":"' + b"0" * 64 + b'"}}',
        RECORD[:-1] + b',"chain":{"id":"a","seq":1,"prev":"' + b"0" * 64 + b'","hash":"' + b"0" * 64 + b'"}}\n',
    ],
)
def test_another_text_has_no_link(line: bytes) -> None:
    assert link_of(line) is None


def test_what_looks_like_a_chain_within_the_record_is_not_taken_for_it() -> None:
    forged = b'"args":{"chain":{"id":"x","seq":9,"prev":"' + b"1" * 64 + b'","hash":"' + b"1" * 64 + b'"}}}'
    chain = Chain("gw-0/1")
    line = chain.seal(head_of(EVENT) + forged).rstrip(b"\n")
    link = link_of(line)
    assert link is not None
    assert link.position == chain.position


def test_a_writer_goes_back_to_the_last_record_that_was_written() -> None:
    chain = Chain("gw-0/1")
    chain.seal(RECORD)
    written = chain.position
    lost = chain.seal(RECORD)
    chain.position = written
    assert chain.seal(RECORD) == lost


@pytest.mark.parametrize("chain_id", ["", 'a"b', "a b", "/a", "a" * 201, "ä", "a\n"])
def test_an_id_that_would_need_escaping_is_refused(chain_id: str) -> None:
    with pytest.raises(ValueError, match="cannot be the id of a chain"):
        Chain(chain_id)


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_is_read_from_the_first_bytes(kind: str) -> None:
    assert kind_of(head_of(kind) + b'"x":1}') == kind


@pytest.mark.parametrize("line", [b"", b"{}", b'{"kind":"Gap"}', head_of(GAP)[1:], head_of("Gaps"), head_of("")])
def test_another_beginning_has_no_kind(line: bytes) -> None:
    assert kind_of(line + b'"x":1}') is None
