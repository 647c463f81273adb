"""Config from any source: it takes effect as written, or is refused with an error of a defined class."""

import json
from typing import Any

from changed_documents import changed
from gateways import BOUNDS
from hypothesis import event, example, given
from hypothesis import strategies as st
from json_texts import any_text, mangled
from messages import spelt

from ostiary_core.canonical import canonical, digest
from ostiary_core.contract import mac, parts
from ostiary_core.contract.bundle import open_files
from ostiary_core.contract.manifest import parse_manifest
from ostiary_core.errors import ContractError, OstiaryError
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_gateway.config.keyring import Keyring
from ostiary_gateway.config.runtime import build_runtime, parse_entry, parse_policy
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.pools import ServerPools

KEY = bytes(range(32))
KEYS = {"mac-1": KEY}
GATEWAY = {"namespace": "ostiary", "name": "default"}
TIMEOUTS = {"connect": 1, "request": 1, "idle": 1}
SERVER = {"name": "up", "url": "http://up.example/mcp", "timeouts": TIMEOUTS}
ENTRY = {
    "kind": "entry",
    "namespace": "ns",
    "name": "a",
    "uid": "u",
    "generation": 1,
    "path": "/a",
    "servers": [SERVER],
}
RULE = {"name": "r", "effect": "Allow", "tools": {"verbs": ["List"], "names": ["get_*"], "patterns": ["a.*"]}}
POLICY = {"kind": "policy", "namespace": "ns", "name": "p", "uid": "u", "generation": 1, "tier": "owner"}
POLICY["access"] = {"rules": [RULE]}
SETTINGS = {"kind": "settings", "externalUrl": "https://gw.example", "bounds": BOUNDS.model_dump(by_alias=True)}
MANIFEST = {
    "version": "ostiary.dev/config/v1",
    "gateway": GATEWAY,
    "revision": 1,
    "settings": digest(canonical(SETTINGS)),
}
MANIFEST |= {"parts": ["0" * 64], "entries": [{"proxy": "ns/a", "uid": "u", "digest": digest(canonical(ENTRY))}]}


def text_of(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


@given(
    changed(MANIFEST | {"mac": {"key": "mac-1", "value": "0" * 64}}).flatmap(spelt) | mangled() | st.binary(max_size=40)
)
@example(text_of(MANIFEST | {"revision": 10**30, "mac": {"key": "mac-1", "value": "0" * 64}}))
@example(text_of(MANIFEST | {"mac": {"key": "mac-1", "value": "ü"}}))
def test_an_unsigned_manifest_is_never_in_force(text: bytes) -> None:
    try:
        open_files({parts.MANIFEST_FILE: text}, KEYS)
    except ContractError:
        return
    raise AssertionError("it was taken")


@given(st.data())
def test_a_signed_manifest_is_read_as_it_was_signed_and_no_other(data: st.DataObject) -> None:
    try:
        signed = mac.sign(parse_manifest(text_of(data.draw(changed(MANIFEST)))), key_name="mac-1", key=KEY)
    except ContractError:
        return
    text = signed.canonical()
    assert open_files({parts.MANIFEST_FILE: text}, KEYS).manifest == signed
    other = data.draw(changed(json.loads(text)))
    try:
        taken = open_files({parts.MANIFEST_FILE: text_of(other)}, KEYS).manifest
    except ContractError:
        return
    assert taken == signed


@given(
    st.dictionaries(
        st.sampled_from(["documents-0.jsonl", "documents-0.jsonl.gz", "documents-1.jsonl", "x"]), st.binary()
    )
)
def test_parts_from_any_source_give_documents_or_an_error_of_the_contract(files: dict[str, bytes]) -> None:
    manifest = mac.sign(parse_manifest(text_of(MANIFEST)), key_name="mac-1", key=KEY)
    try:
        opened = open_files({**files, parts.MANIFEST_FILE: manifest.canonical()}, KEYS)
    except ContractError:
        return
    for key in [*opened.documents, "x"]:
        try:
            assert digest(opened.take(key)) == key
        except ContractError:
            event("altered")


@given(st.one_of(*[changed(ENTRY).flatmap(spelt)] * 9, mangled()))
@example(text_of(ENTRY | {"servers": []}))
@example(text_of(ENTRY | {"generation": 10**30}))
@example(text_of(ENTRY | {"servers": [SERVER | {"timeouts": TIMEOUTS | {"connect": 10**400}}]}))
@example(text_of(ENTRY | {"servers": [SERVER | {"url": "https://h/", "tls": {"ca": "ü"}}]}))
def test_an_entry_from_any_source_is_served_or_refused_with_a_defined_error(text: bytes) -> None:
    def policy(key: str) -> CompiledPolicy:
        raise ContractError(f"no policy {key[:8]}")

    try:
        runtime = build_runtime("digest", text, policy, ServerPools(OwnEndpoints()).take)
    except OstiaryError:
        event("refused")
        return
    event("served")
    assert parse_entry(parse_entry(text).canonical()) == parse_entry(text)
    assert runtime.endpoint == parse_entry(text).path + "/mcp"


@given(st.one_of(*[changed(POLICY).flatmap(spelt)] * 9, mangled()), any_text)
@example(text_of(POLICY | {"generation": 10**30}), "")
def test_a_policy_from_any_source_decides_or_is_refused_with_a_defined_error(text: bytes, name: str) -> None:
    try:
        document = parse_policy(text)
        compiled = CompiledPolicy.build(document)
    except OstiaryError:
        event("refused")
        return
    event("compiled")
    assert parse_policy(document.canonical()) == document
    for rule in [*compiled.allow, *compiled.deny]:
        for matcher in rule.matchers:
            assert matcher.matches(name) in (True, False)


def offered(settings: bytes, entry: bytes) -> tuple[dict[str, bytes], Keyring]:
    """A config of these documents, whole and signed."""
    lines = parts.fold({digest(settings): settings, digest(entry): entry})
    references = [{"proxy": "ns/a", "uid": "u", "digest": digest(entry)}]
    manifest = MANIFEST | {"settings": digest(settings), "entries": references, "parts": [digest(lines)]}
    signed = mac.sign(parse_manifest(text_of(manifest)), key_name="mac-1", key=KEY)
    return {parts.MANIFEST_FILE: signed.canonical(), **dict([parts.pack(0, lines)])}, Keyring(mac=KEYS)


def one_line(text: bytes) -> bytes:
    return text.replace(b"\n", b" ") or b"{}"


@given(changed(SETTINGS).flatmap(spelt).map(one_line), changed(ENTRY).flatmap(spelt).map(one_line))
async def test_a_signed_config_is_in_force_or_rejected_with_a_reason(settings: bytes, entry: bytes) -> None:
    store = ConfigStore(gateway=None, servers=ServerPools(OwnEndpoints()).take)

    await store.offer("directory", *offered(settings, entry))

    if store.snapshot is None:
        event("rejected")
        assert store.rejected_config is not None
        assert store.rejected_config.message
        return
    event("in force")
    assert set(store.snapshot.proxies) ^ set(store.rejected_entries) == {"ns/a"}


names = st.sampled_from(["mac-1", "mac-", "session-1", "session-\u0663", "session-x", "admin-token"]) | any_text


@given(st.dictionaries(names, st.binary(max_size=40)))
@example({"session-" + "9" * 245: KEY})  # no name of a file, and no key of a Secret, is longer
def test_files_of_any_name_are_keys_or_none(files: dict[str, bytes]) -> None:
    keyring = Keyring.from_secret(files)

    assert set(keyring.mac) <= set(files)
    assert "session-x" not in str(keyring.sessions)
    assert KEY.hex() not in repr(keyring)
