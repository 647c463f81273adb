"""The store swaps configs whole, keeps the last good one, and never takes an older one."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from configs import GATEWAY, ConfigWriter, entry, files_of, settings, without
from gateways import BOUNDS, policy
from mcp_clients import eventually

from ostiary_core.contract.bundle import OpenedBundle, open_parts
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.contract.manifest import GatewayIdentity, Manifest
from ostiary_core.errors import ContractError
from ostiary_gateway.config import snapshot_builder
from ostiary_gateway.config.keyring import Keyring
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.config.store import ConfigStore, RejectionRecheck
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.pools import ServerPools

CRM, WIKI = "default/crm", "default/wiki"
BAD_PATTERN = {"name": "bad", "effect": "Deny", "tools": {"patterns": ["("]}}


class Taken:
    """A store, and the swaps that its listeners received."""

    def __init__(self, gateway: str | None = GATEWAY) -> None:
        self.store = ConfigStore(gateway=gateway, servers=ServerPools(OwnEndpoints()).take)
        self.swaps: list[tuple[int, frozenset[str]]] = []
        self.store.listeners.append(lambda snapshot, changed: self.swaps.append((snapshot.revision, changed)))

    async def take(self, files: Mapping[str, bytes], keys: Keyring, *, source: str = "directory") -> None:
        await self.store.offer(source, files, keys)

    @property
    def snapshot(self) -> Snapshot:
        assert self.store.snapshot is not None
        return self.store.snapshot

    @property
    def digests(self) -> dict[str, str]:
        return {key: proxy.digest for key, proxy in self.snapshot.proxies.items()}


@pytest.fixture
def operator() -> ConfigWriter:
    return ConfigWriter()


@pytest.fixture
def taken() -> Taken:
    return Taken()


def bad_policy() -> PolicyDocument:
    return policy("broken", BAD_PATTERN)


async def test_a_good_config_is_in_force_at_once(taken: Taken, operator: ConfigWriter) -> None:
    await taken.take(operator.files(entry("crm"), entry("wiki")), operator.keys)

    assert sorted(taken.snapshot.proxies) == [CRM, WIKI]
    assert taken.swaps == [(1, frozenset({CRM, WIKI}))]
    assert (taken.store.loads, taken.store.rejections, taken.store.rejected_config) == (1, 0, None)


async def test_an_unchanged_entry_keeps_its_very_runtime(taken: Taken, operator: ConfigWriter) -> None:
    p = policy("p", {"name": "a", "effect": "Allow"})
    await taken.take(operator.files(entry("crm", [p]), entry("wiki"), policies=[p]), operator.keys)
    before = dict(taken.snapshot.proxies)
    await taken.take(operator.files(entry("crm", [p]), entry("wiki", path="/w"), policies=[p]), operator.keys)

    assert taken.snapshot.proxies[CRM] is before[CRM]
    assert taken.snapshot.proxies[WIKI] is not before[WIKI]
    assert taken.swaps[-1] == (2, frozenset({WIKI}))


async def test_an_edited_policy_keeps_the_server_and_its_connections(taken: Taken, operator: ConfigWriter) -> None:
    await taken.take(operator.files(entry("crm")), operator.keys)
    server = taken.snapshot.proxies[CRM].server
    p = policy("p")
    await taken.take(operator.files(entry("crm", [p]), policies=[p]), operator.keys)

    assert taken.snapshot.proxies[CRM].server is server


async def test_a_policy_that_two_proxies_share_is_compiled_once(taken: Taken, operator: ConfigWriter) -> None:
    p = policy("p")
    await taken.take(operator.files(entry("crm", [p]), entry("wiki", [p]), policies=[p]), operator.keys)

    one, two = (next(iter(proxy.policies.values())) for proxy in taken.snapshot.proxies.values())
    assert one is two


async def test_a_deleted_proxy_is_gone(taken: Taken, operator: ConfigWriter) -> None:
    await taken.take(operator.files(entry("crm"), entry("wiki")), operator.keys)
    await taken.take(operator.files(entry("wiki")), operator.keys)

    assert list(taken.snapshot.proxies) == [WIKI]
    assert taken.swaps[-1] == (2, frozenset({CRM}))


async def test_a_bad_entry_keeps_its_last_good_while_the_rest_go_on(taken: Taken, operator: ConfigWriter) -> None:
    await taken.take(operator.files(entry("crm"), entry("wiki")), operator.keys)
    before = taken.snapshot.proxies[CRM]
    bad = bad_policy()
    await taken.take(operator.files(entry("crm", [bad]), entry("wiki", path="/w"), policies=[bad]), operator.keys)

    assert taken.snapshot.revision == 2
    assert taken.snapshot.proxies[CRM] is before
    assert taken.snapshot.proxies[WIKI].path == "/w"
    assert list(taken.store.rejected_entries) == [CRM]
    assert taken.store.rejected_entries[CRM].reason == "InvalidPattern"
    assert "(" in taken.store.rejected_entries[CRM].message
    assert taken.swaps[-1] == (2, frozenset({WIKI}))


async def test_a_bad_entry_without_a_last_good_is_not_served(taken: Taken, operator: ConfigWriter) -> None:
    bad = bad_policy()
    await taken.take(operator.files(entry("crm", [bad]), entry("wiki"), policies=[bad]), operator.keys)

    assert list(taken.snapshot.proxies) == [WIKI]
    assert list(taken.store.rejected_entries) == [CRM]


async def test_the_last_good_of_a_proxy_is_not_that_of_its_namesake(taken: Taken, operator: ConfigWriter) -> None:
    await taken.take(operator.files(entry("crm")), operator.keys)
    bad = bad_policy()
    await taken.take(operator.files(entry("crm", [bad], uid="another"), policies=[bad]), operator.keys)

    assert taken.snapshot.proxies == {}


async def test_a_corrected_entry_is_no_longer_rejected(taken: Taken, operator: ConfigWriter) -> None:
    bad = bad_policy()
    await taken.take(operator.files(entry("crm", [bad]), policies=[bad]), operator.keys)
    await taken.take(operator.files(entry("crm")), operator.keys)

    assert taken.store.rejected_entries == {}
    assert list(taken.snapshot.proxies) == [CRM]


async def test_tls_material_that_cannot_be_used_rejects_its_entry_only(taken: Taken, operator: ConfigWriter) -> None:
    server = {"name": "up", "url": "https://x/mcp", "timeouts": {"connect": 1, "request": 1, "idle": 1}}
    broken = EntryDocument.model_validate(
        {**entry("crm").model_dump(by_alias=True), "servers": [{**server, "tls": {"ca": "no PEM"}}]}
    )
    await taken.take(operator.files(broken, entry("wiki")), operator.keys)

    assert list(taken.snapshot.proxies) == [WIKI]
    assert taken.store.rejected_entries[CRM].reason == "InvalidDocument"


# -- revisions


async def test_an_older_revision_is_never_loaded_from_any_source(taken: Taken, operator: ConfigWriter) -> None:
    await taken.take(operator.files(entry("crm"), revision=7), operator.keys)
    await taken.take(operator.files(entry("wiki"), revision=6), operator.keys, source="kubernetes")
    await taken.take(operator.files(entry("wiki"), revision=5), operator.keys)

    assert (taken.snapshot.revision, list(taken.snapshot.proxies)) == (7, [CRM])
    assert taken.store.rejected_config is None


async def test_the_same_revision_again_changes_nothing(taken: Taken, operator: ConfigWriter) -> None:
    files = operator.files(entry("crm"))
    for _ in range(3):
        await taken.take(files, operator.keys)
        await taken.take(files, operator.keys, source="kubernetes")

    assert (taken.store.loads, len(taken.swaps)) == (1, 1)


async def test_the_newest_of_two_sources_is_in_force(taken: Taken, operator: ConfigWriter) -> None:
    await taken.take(operator.files(entry("crm")), operator.keys, source="kubernetes")
    old = operator.files(entry("crm"))
    await taken.take(operator.files(entry("wiki")), operator.keys, source="kubernetes")
    await taken.take(old, operator.keys)

    assert (taken.snapshot.revision, list(taken.snapshot.proxies)) == (3, [WIKI])


NOW = 1_800_000_000.0
DAY = 24 * 3600


class Clock:
    """A clock that a test sets, in epoch seconds."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(taken: Taken) -> Clock:
    taken.store._clock = Clock()
    return taken.store._clock


def moment(clock: Clock, *, ahead: float = 0.0) -> int:
    return int((clock.now + ahead) * 1000)


@pytest.mark.parametrize("ahead", [DAY + 1, 400 * DAY, (2**62) / 1000 - NOW])
async def test_a_revision_far_ahead_of_the_clock_is_refused_and_named_and_the_last_good_stays(
    taken: Taken, operator: ConfigWriter, clock: Clock, ahead: float
) -> None:
    await taken.take(operator.files(entry("crm"), revision=moment(clock)), operator.keys)
    await taken.take(operator.files(entry("wiki"), revision=moment(clock, ahead=ahead)), operator.keys)

    assert list(taken.snapshot.proxies) == [CRM]
    rejected = taken.store.rejected_config
    assert rejected is not None
    assert (rejected.reason, rejected.revision) == ("RevisionAhead", moment(clock, ahead=ahead))
    assert "more than a day ahead" in rejected.message
    await taken.take(operator.files(entry("mail"), revision=moment(clock, ahead=1)), operator.keys)
    assert list(taken.snapshot.proxies) == ["default/mail"]
    assert taken.store.rejected_config is None


async def test_clocks_may_differ_by_hours(taken: Taken, operator: ConfigWriter, clock: Clock) -> None:
    await taken.take(operator.files(entry("crm"), revision=moment(clock, ahead=23 * 3600)), operator.keys)
    await taken.take(operator.files(entry("wiki"), revision=moment(clock, ahead=22 * 3600)), operator.keys)

    assert list(taken.snapshot.proxies) == [CRM]


async def test_a_revision_that_was_taken_while_the_clock_was_wrong_is_overtaken_once_it_is_right(
    taken: Taken, operator: ConfigWriter, clock: Clock
) -> None:
    clock.now = NOW + 3650 * DAY
    await taken.take(operator.files(entry("crm"), revision=moment(clock)), operator.keys)
    clock.now = NOW
    await taken.take(operator.files(entry("wiki"), revision=moment(clock)), operator.keys)
    await taken.take(operator.files(entry("mail"), revision=moment(clock, ahead=-1)), operator.keys)

    assert (taken.snapshot.revision, list(taken.snapshot.proxies)) == (moment(clock), [WIKI])


async def test_a_config_that_was_refused_for_a_slow_clock_is_taken_once_that_is_right(
    taken: Taken, operator: ConfigWriter, clock: Clock
) -> None:
    clock.now = 0.0
    await taken.take(operator.files(entry("crm"), revision=int(NOW * 1000)), operator.keys)
    await taken.store.recheck()
    assert taken.store.snapshot is None
    looking = asyncio.create_task(RejectionRecheck(taken.store, period=0.01).run())
    clock.now = NOW
    await eventually(lambda: taken.store.snapshot is not None)
    looking.cancel()

    assert list(taken.snapshot.proxies) == [CRM]
    assert taken.store.rejected_config is None


# -- what is no config


def renamed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files without the part that is what the manifest names."""
    return {name: content for name, content in files.items() if name != "documents-0.jsonl"}


def poisoned(files: Mapping[str, bytes]) -> list[tuple[str, dict[str, bytes], Keyring | None, str]]:
    manifest = files["manifest.json"]
    return [
        ("cut off", {**files, "manifest.json": manifest[:-10]}, None, "InvalidDocument"),
        ("not JSON", {**files, "manifest.json": b"{}{}"}, None, "InvalidDocument"),
        ("empty", {**files, "manifest.json": b""}, None, "InvalidDocument"),
        ("of another version", {**files, "manifest.json": manifest.replace(b"config/v1", b"config/v2")}, None, "Inv"),
        ("altered", {**files, "manifest.json": manifest.replace(b'"revision":2', b'"revision":9')}, None, "Invalid"),
        ("without a MAC", {**files, "manifest.json": manifest.partition(b'"mac":')[0] + b'"x":1}'}, None, "Invalid"),
        ("of another operator's key", dict(files), Keyring({"mac-1": b"x" * 32}), "InvalidDocument"),
        ("of an unknown key", dict(files), Keyring({"mac-2": b"x" * 32}), "InvalidDocument"),
        ("with a part that is no gzip", {**renamed(files), "documents-0.jsonl.gz": b"plain"}, None, "InvalidDocument"),
        ("with a part of garbage", {**files, "documents-0.jsonl": b"\xff\xfe garbage"}, None, "InvalidDocument"),
    ]


@pytest.mark.parametrize("number", range(10))
async def test_a_poisoned_config_leaves_the_last_good_in_force(
    taken: Taken, operator: ConfigWriter, number: int
) -> None:
    await taken.take(operator.files(entry("crm")), operator.keys)
    before = taken.snapshot
    _, files, keys, reason = poisoned(operator.files(entry("wiki")))[number]
    await taken.take(files, keys or operator.keys)

    assert taken.snapshot is before
    rejected = taken.store.rejected_config
    assert rejected is not None
    assert rejected.reason.startswith(reason)
    assert taken.store.rejections == 1
    assert (rejected.revision is None) or rejected.revision == 2


@pytest.mark.parametrize("number", range(10))
async def test_a_poisoned_config_opens_nothing_at_a_cold_start(
    taken: Taken, operator: ConfigWriter, number: int
) -> None:
    operator.revision = 1
    _, files, keys, _ = poisoned(operator.files(entry("wiki")))[number]
    await taken.take(files, keys or operator.keys)

    assert taken.store.snapshot is None


async def test_files_next_to_the_part_that_the_manifest_names_are_ignored(taken: Taken, operator: ConfigWriter) -> None:
    files = operator.files(entry("crm"))
    await taken.take({**files, "documents-0.jsonl.gz": b"no gzip", "documents-3.jsonl": b"no part"}, operator.keys)

    assert list(taken.snapshot.proxies) == [CRM]
    assert taken.store.rejected_config is None


async def test_parts_are_opened_for_a_new_revision_only(
    taken: Taken, operator: ConfigWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    def counted(manifest: Manifest, files: Mapping[str, bytes]) -> OpenedBundle:
        opened.append(manifest.revision)
        return open_parts(manifest, files)

    monkeypatch.setattr(snapshot_builder, "open_parts", counted)
    files = operator.files(entry("crm"))
    for _ in range(3):
        await taken.take(files, operator.keys)
    await taken.take(operator.files(entry("crm"), entry("wiki")), operator.keys)

    assert len(opened) == 2


async def test_the_same_poison_is_counted_once(taken: Taken, operator: ConfigWriter) -> None:
    files = {**operator.files(entry("crm")), "manifest.json": b"{"}
    for _ in range(3):
        await taken.take(files, operator.keys)

    assert taken.store.rejections == 1


async def test_a_rejection_is_forgotten_when_its_source_is_well_again(taken: Taken, operator: ConfigWriter) -> None:
    good = operator.files(entry("crm"))
    await taken.take(good, operator.keys)
    await taken.take({**good, "manifest.json": b"{"}, operator.keys)
    assert taken.store.rejected_config is not None
    await taken.take(good, operator.keys)

    assert taken.store.rejected_config is None


async def test_the_config_of_another_gateway_is_refused(taken: Taken, operator: ConfigWriter) -> None:
    other = GatewayIdentity(namespace="ostiary", name="other")
    await taken.take(operator.files(entry("crm"), gateway=other), operator.keys)

    assert taken.store.snapshot is None
    assert taken.store.rejected_config is not None
    assert "ostiary/other" in taken.store.rejected_config.message


async def test_a_gateway_without_a_configured_name_takes_the_name_in_the_config(operator: ConfigWriter) -> None:
    taken = Taken(gateway=None)
    other = GatewayIdentity(namespace="ostiary", name="other")
    await taken.take(operator.files(entry("crm"), gateway=other), operator.keys)

    assert taken.snapshot.gateway.identity == "ostiary/other"


async def test_settings_that_break_the_contract_reject_the_config(taken: Taken, operator: ConfigWriter) -> None:
    await taken.take(operator.files(entry("crm")), operator.keys)
    wrong = settings().model_copy(update={"bounds": BOUNDS.model_copy(update={"streams": 0})})
    await taken.take(operator.files(entry("crm"), settings=wrong), operator.keys)

    assert taken.snapshot.revision == 1
    assert taken.store.rejected_config is not None
    assert "settings: bounds.streams" in taken.store.rejected_config.message
    assert taken.store.rejected_config.revision == 2


# -- parts that are still on their way


def documents() -> list[Any]:
    p = policy("p")
    return [settings(), entry("crm", [p]), p]


@pytest.mark.parametrize("number", range(3))
async def test_a_config_is_taken_when_all_that_it_names_is_there(
    taken: Taken, operator: ConfigWriter, number: int
) -> None:
    await taken.take(operator.files(entry("wiki")), operator.keys)
    _, crm, p = documents()
    whole = operator.files(crm, policies=[p], settings=settings(external_url="https://x"))
    missing = [settings(external_url="https://x"), crm, p][number]
    await taken.take(without(whole, missing.canonical()), operator.keys)

    assert (taken.snapshot.revision, list(taken.snapshot.proxies)) == (1, [WIKI])
    assert taken.store.incomplete is not None
    assert (taken.store.incomplete.reason, taken.store.incomplete.revision) == ("Incomplete", 2)
    assert (taken.store.rejected_config, taken.store.rejections) == (None, 0)

    await taken.take(whole, operator.keys)
    assert (taken.snapshot.revision, list(taken.snapshot.proxies)) == (2, [CRM])
    assert taken.store.incomplete is None


async def test_an_unchanged_entry_needs_no_document(taken: Taken, operator: ConfigWriter) -> None:
    await taken.take(operator.files(entry("crm")), operator.keys)
    files = operator.files(entry("crm"), entry("wiki"))
    await taken.take(without(files, entry("crm").canonical()), operator.keys)

    assert taken.snapshot.revision == 2


async def test_a_document_altered_in_transit_is_taken_from_the_source_that_has_it_intact(
    taken: Taken, operator: ConfigWriter
) -> None:
    files = operator.files(entry("crm"), entry("wiki"))
    torn = {name: content.replace(b'"path":"/crm"', b'"path":"/cr_"') for name, content in files.items()}
    await taken.take(torn, operator.keys)
    assert list(taken.snapshot.proxies) == [WIKI]
    assert taken.store.rejected_entries[CRM].reason == "InvalidDocument"

    await taken.take(files, operator.keys, source="kubernetes")
    assert sorted(taken.snapshot.proxies) == [CRM, WIKI]
    assert taken.store.rejected_entries == {}
    # And the torn one does not take it away again.
    await taken.take(torn, operator.keys)
    assert sorted(taken.snapshot.proxies) == [CRM, WIKI]


async def test_a_rejected_entry_that_is_offered_again_is_no_new_load(taken: Taken, operator: ConfigWriter) -> None:
    bad = bad_policy()
    files = operator.files(entry("crm", [bad]), entry("wiki"), policies=[bad])
    for _ in range(3):
        await taken.take(files, operator.keys)

    assert (taken.store.loads, taken.store.rejections, len(taken.swaps)) == (1, 1, 1)


async def test_many_parts_are_read_like_one(taken: Taken, operator: ConfigWriter) -> None:
    from ostiary_core.contract import parts  # noqa: PLC0415  to shrink its bound

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "ONE_PART_BYTES", 4000)
        bundle = operator.bundle(*(entry(f"proxy-{number}") for number in range(40)))
    assert len(bundle.files) > 1
    await taken.take(files_of(bundle), operator.keys)

    assert len(taken.snapshot.proxies) == 40


# -- keys


async def test_keys_may_come_from_another_source_than_the_config_and_later(
    taken: Taken, operator: ConfigWriter
) -> None:
    await taken.take(operator.files(entry("crm")), Keyring())
    assert taken.store.snapshot is None
    await taken.take({}, operator.keys, source="kubernetes")

    assert taken.snapshot.revision == 1
    assert taken.store.rejected_config is None


async def test_keys_alone_are_no_bad_config(taken: Taken, operator: ConfigWriter) -> None:
    await taken.take(operator.secret, operator.keys)

    assert (taken.store.rejected_config, taken.store.rejections) == (None, 0)


async def test_a_secret_that_is_missing_for_a_moment_ends_no_session(taken: Taken, operator: ConfigWriter) -> None:
    await taken.take(operator.files(entry("crm")), operator.keys)
    await taken.take(operator.files(entry("crm")), Keyring())

    assert taken.store.keyring == operator.keys
    assert taken.snapshot.revision == 2


async def test_a_withdrawn_key_is_removed(taken: Taken, operator: ConfigWriter) -> None:
    both = Keyring.from_secret({**operator.secret, "session-99": b"y" * 32})
    await taken.take(operator.files(entry("crm")), both)
    assert set(taken.store.keyring.sessions) == {0, 99}
    await taken.take(operator.files(entry("crm")), operator.keys)

    assert set(taken.store.keyring.sessions) == {0}


async def test_a_server_factory_that_refuses_rejects_the_entry(operator: ConfigWriter) -> None:
    def refuse(_: EntryDocument) -> Any:
        raise ContractError("server up: no")

    store = ConfigStore(gateway=GATEWAY, servers=refuse)
    await store.offer("directory", operator.files(entry("crm")), operator.keys)

    assert store.snapshot is not None
    assert store.rejected_entries[CRM].message == "server up: no"
