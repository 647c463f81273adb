import gzip
import random

import pytest
from pydantic import ValidationError

from ostiary_core.canonical import digest
from ostiary_core.contract import bundle as bundles
from ostiary_core.contract import parts
from ostiary_core.contract.bounds import BoundsConfig
from ostiary_core.contract.bundle import Bundle, GatewayConfig, fold_config, manifest_file, open_files, stamp
from ostiary_core.contract.documents import (
    EntryDocument,
    PolicyDocument,
    ServerConfig,
    SettingsDocument,
    TimeoutsConfig,
)
from ostiary_core.contract.manifest import GatewayIdentity, Manifest, parse_manifest
from ostiary_core.errors import ContractError

KEY = b"k" * 32
KEYS = {"mac-1": KEY}
BOUNDS = BoundsConfig(request_bytes=1, message_bytes=1, requests_in_flight=1, streams=1, session_max_age=1)


def entry(name: str, policies: list[str]) -> EntryDocument:
    server = ServerConfig(name="s", url="http://s", timeouts=TimeoutsConfig(connect=1, request=1, idle=1))
    return EntryDocument(
        namespace="ns", name=name, uid=f"uid-{name}", generation=1, path=f"/{name}", servers=[server], policies=policies
    )


def config(count: int = 3) -> GatewayConfig:
    documents = [
        PolicyDocument(namespace="ns", name=f"p{i}", uid=f"u{i}", generation=1, tier="owner") for i in range(count)
    ]
    policies = {digest(document.canonical()): document for document in documents}
    entries = {f"ns/e{i}": entry(f"e{i}", [key]) for i, key in enumerate(policies)}
    return GatewayConfig(
        GatewayIdentity(namespace="sys", name="gw"), SettingsDocument(bounds=BOUNDS), entries, policies
    )


def files(bundle: Bundle) -> dict[str, bytes]:
    joined = {name: content for part in bundle.files for name, content in part.items()}
    return joined | {"manifest.json": manifest_file(bundle)}


def signed(subject: GatewayConfig) -> Bundle:
    return stamp(fold_config(subject), revision=7, key_name="mac-1", key=KEY)


def test_a_config_is_read_back_as_it_was_written() -> None:
    opened = open_files(files(signed(config())) | {"tls.crt": b"not ours"}, KEYS, gateway="sys/gw")

    assert opened.manifest.revision == 7
    assert SettingsDocument.model_validate_json(opened.take(opened.manifest.settings)) == config().settings
    for reference in opened.manifest.entries:
        document = EntryDocument.model_validate_json(opened.take(reference.digest))
        assert document == config().entries[reference.proxy]
        assert [PolicyDocument.model_validate_json(opened.take(key)) for key in document.policies]


def test_the_order_of_entries_and_policies_never_changes_a_byte() -> None:
    subject = config(20)
    expected = files(fold_config(subject))

    for seed in range(5):
        entries, policies = list(subject.entries.items()), list(subject.policies.items())
        shuffle = random.Random(seed).shuffle  # noqa: S311  no secret
        shuffle(entries)
        shuffle(policies)
        shuffled = GatewayConfig(subject.gateway, subject.settings, dict(entries), dict(policies))
        assert files(fold_config(shuffled)) == expected


def test_revision_and_mac_do_not_make_the_content_another() -> None:
    first = fold_config(config()).manifest

    assert signed(config()).manifest.same_content(first)
    assert not fold_config(config(2)).manifest.same_content(first)
    assert not first.same_content(None)


def test_a_manifest_states_the_size_of_decompressed_parts_and_no_more_is_decompressed() -> None:
    plain, large = signed(config()), signed(config(900))
    assert plain.manifest.sizes is None, "an earlier reader need not know the member"
    assert large.manifest.sizes is not None
    (size,) = large.manifest.sizes
    assert size > parts.COMPRESS_ABOVE
    content = files(large) | dict(large.head)
    assert len(open_files(content, KEYS).documents) == 1801
    (name,) = large.files[0]
    lines = gzip.decompress(content[name])
    assert len(lines) == size
    spare = b"x" * (parts.SPARE_BYTES - 66)
    travelling = lines + digest(spare).encode() + b" " + spare + b"\n"
    assert len(open_files(content | {name: gzip.compress(travelling)}, KEYS).documents) == 1802
    with pytest.raises(ContractError, match=f"larger than the {size + parts.SPARE_BYTES} bytes"):
        open_files(content | {name: gzip.compress(travelling + lines)}, KEYS)


def test_the_config_of_another_gateway_is_refused() -> None:
    with pytest.raises(ContractError, match=r"for gateway sys/gw, and this is sys/other"):
        open_files(files(signed(config())), KEYS, gateway="sys/other")


def test_a_missing_manifest_is_refused() -> None:
    with pytest.raises(ContractError, match="no manifest"):
        open_files({}, KEYS)


def test_an_altered_document_is_refused_when_it_is_taken() -> None:
    content = files(signed(config()))
    content["documents-0.jsonl"] = content["documents-0.jsonl"].replace(b'"path":"/e1"', b'"path":"/xx"')
    opened = open_files(content, KEYS)
    taken = []

    for reference in opened.manifest.entries:
        if reference.proxy == "ns/e1":
            with pytest.raises(ContractError, match="does not have this digest"):
                opened.take(reference.digest)
        else:
            taken.append(opened.take(reference.digest))
    assert len(taken) == 2


def test_a_document_that_is_in_no_part_is_named() -> None:
    content = files(signed(config()))
    del content["documents-0.jsonl"]
    opened = open_files(content, KEYS)

    with pytest.raises(ContractError, match="in none of its parts"):
        opened.take(opened.manifest.settings)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"{}", "gateway"),
        (b"nonsense", "the document"),
        (b'{"version": "ostiary.dev/config/v2"}', "version"),
        (b'{"extra": 1}', "gateway"),
    ],
)
def test_a_manifest_that_breaks_the_contract_is_refused_with_the_place(text: bytes, where: str) -> None:
    with pytest.raises(ContractError, match=f"manifest: {where}"):
        parse_manifest(text)


def test_unknown_members_are_refused() -> None:
    text = manifest_file(signed(config())).replace(b'"revision":7', b'"revision":7,"surprise":true')

    with pytest.raises(ContractError, match="surprise"):
        parse_manifest(text)


def large(count: int = 700) -> Bundle:
    identity = GatewayIdentity(namespace="sys", name="gw")
    entries = {f"ns/e{number}": entry(f"e{number}", []) for number in range(count)}
    return stamp(
        fold_config(GatewayConfig(identity, SettingsDocument(bounds=BOUNDS), entries)),
        revision=7,
        key_name="mac-1",
        key=KEY,
    )


FORGED = b'{"version":"ostiary.dev/config/v1","entries":[' + b"1," * 40_000 + b"1]}"


@pytest.mark.parametrize(
    "forged",
    [
        FORGED,
        FORGED.replace(b",1]", b',1],"mac":{"key":"mac-1","value":"%b"},"x":1' % (b"0" * 64)),
        manifest_file(large()).replace(b'"revision":7', b'"revision":8'),
        manifest_file(large()).replace(b'"key":"mac-1"', b'"key":"mac-2"'),
    ],
    ids=["without a MAC", "with a made up one", "altered", "of another key"],
)
def test_nothing_of_a_large_manifest_is_parsed_before_its_mac_fits(
    forged: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []
    monkeypatch.setattr(bundles, "parse_manifest", parsed.append)

    with pytest.raises(ContractError, match="carries no MAC of a key that the Secret holds, or one that does not fit"):
        open_files({"manifest.json": forged}, KEYS)
    assert parsed == []


def test_a_large_manifest_is_read_whose_mac_fits() -> None:
    assert len(manifest_file(large())) > 64 * 1024
    assert len(open_files(files(large()), KEYS).manifest.entries) == 700


def test_a_mac_that_moved_to_another_place_of_a_large_manifest_proves_nothing() -> None:
    text = manifest_file(large())
    member = text[text.index(b'"mac":') : text.index(b'"parts":')]
    moved = text.replace(member, b"").replace(b'"entries":[{', b'"entries":[{' + member)

    with pytest.raises(ContractError):
        open_files({"manifest.json": moved}, KEYS)


def test_of_many_bad_members_of_a_manifest_the_first_is_reported_and_no_other_is_read() -> None:
    with pytest.raises(ContractError, match="manifest: "):
        parse_manifest(FORGED)
    with pytest.raises(ValidationError) as found:
        Manifest.model_validate_json(FORGED)
    assert found.value.error_count() < 10
