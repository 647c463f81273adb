import base64
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from operator_objects import GATEWAY, SYSTEM, config, delivered, delivered_files, entry, service

from ostiary_core.canonical import digest
from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.contract.key_names import misplaced
from ostiary_core.contract.upstream_credentials import StaticCredentialConfig, UpstreamCredentialConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.clock import ManualClock
from ostiary_operator.compile.gateways import discover
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.controller.applied_configs import AppliedConfigs
from ostiary_operator.delivery import reader, secret
from ostiary_operator.delivery.reader import needed
from ostiary_operator.delivery.writer import AppliedConfig, ConfigWriter
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot, GatewayObjects
from ostiary_operator.kube.errors import Busy, ClusterError
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import CONFIG_MAP, SECRET, SERVICE

FIRST = "ostiary-default-0"
SECRETS = ("ostiary-default", "ostiary-default.evidence")


@dataclass
class World:
    cluster: FakeClient = field(default_factory=FakeClient)
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.cluster.put(SERVICE, service())
        self.delivery = ConfigWriter(self.cluster, self.clock)

    @property
    def gateway(self) -> DiscoveredGateway:
        found = self.cluster.peek(SERVICE, namespace=SYSTEM, name="ostiary-gateway-default")
        assert found is not None
        return discover([found], []).gateways[0]

    def gateway_objects(self) -> GatewayObjects:
        maps = [self.cluster.peek(CONFIG_MAP, namespace=SYSTEM, name=f"ostiary-default-{n}") for n in range(16)]
        stored, shared = (self.cluster.peek(SECRET, namespace=SYSTEM, name=name) for name in SECRETS)
        return GatewayObjects({each["metadata"]["name"]: each for each in maps if each is not None}, stored, shared)

    async def deliver(self, what: GatewayConfig, *, acknowledged: int | None = None) -> AppliedConfig:
        return await self.delivery.deliver(self.gateway, what, self.gateway_objects(), acknowledged=acknowledged)

    def peek(self, name: str = FIRST) -> dict[str, Any]:
        found = self.cluster.peek(SECRET if name in SECRETS else CONFIG_MAP, namespace=SYSTEM, name=name)
        assert found is not None
        return found

    def opens(self) -> set[str]:
        """The proxies of the config that a gateway would accept now, all its documents at hand."""
        bundle = delivered(self.cluster)
        for key in needed(bundle.manifest, bundle.documents):
            bundle.take(key)
        return {each.proxy for each in bundle.manifest.entries}

    def restart(self) -> None:
        self.delivery = ConfigWriter(self.cluster, self.clock)


@pytest.fixture
def world() -> World:
    return World()


def incompressible(name: str, *, kilobytes: int, seed: int = 0) -> Iterator[Any]:
    """Entries that fill parts: their padding does not shrink."""
    source = random.Random(f"{name}{seed}")  # noqa: S311  no secret: the same padding at every run
    for number in range(kilobytes // 50):
        yield entry(f"{name}-{number}", padding=base64.urlsafe_b64encode(source.randbytes(50 * 1024)).decode())


async def test_a_config_arrives_whole_and_signed(world: World) -> None:
    done = await world.deliver(config(entry("crm"), entry("wiki")))
    assert world.opens() == {"tools/crm", "tools/wiki"}
    assert done.manifest.revision == 1_800_000_000_000
    assert done.wrote == (*(f"Secret {name}" for name in SECRETS), f"ConfigMap {FIRST}")


async def test_the_bearer_of_evidence_is_shared_in_a_secret_that_holds_nothing_else(world: World) -> None:
    await world.deliver(config(entry("crm")))
    keys, shared = (world.peek(name)["data"] for name in SECRETS)
    assert shared == {"evidence-token": keys["evidence-token"]}
    obj = world.peek(SECRETS[1])
    world.cluster.put(SECRET, obj | {"data": {"evidence-token": "ZmZm", "more": "ZmZm"}})
    done = await world.deliver(config(entry("crm")))
    assert (done.wrote, world.peek(SECRETS[1])["data"]) == ((f"Secret {SECRETS[1]}",), shared)


async def test_without_the_right_to_share_the_bearer_everything_else_is_written(world: World) -> None:
    seen = replace(world.gateway_objects(), may_share_evidence=False)
    done = await world.delivery.deliver(world.gateway, config(entry("crm")), seen, acknowledged=None)
    assert done.wrote == ("Secret ostiary-default", f"ConfigMap {FIRST}")


async def test_everything_is_owned_by_the_gateways_service_and_labelled(world: World) -> None:
    await world.deliver(config(entry("crm")))
    for name in (FIRST, *SECRETS):
        metadata = world.peek(name)["metadata"]
        owner = {"apiVersion": "v1", "kind": "Service", "name": "ostiary-gateway-default", "uid": world.gateway.uid}
        assert metadata["ownerReferences"] == [owner]
        assert metadata["labels"] == {
            "app.kubernetes.io/managed-by": "ostiary",
            "ostiary.dev/config": "default",
            "ostiary.dev/usage": "config",
        }


async def test_the_same_again_writes_nothing_also_after_a_restart(world: World) -> None:
    first = await world.deliver(config(entry("crm")))
    versions = [world.peek(name)["metadata"]["resourceVersion"] for name in (FIRST, "ostiary-default")]
    world.restart()
    again = await world.deliver(config(entry("crm")))
    assert again.wrote == ()
    assert again.manifest == first.manifest
    assert versions == [world.peek(name)["metadata"]["resourceVersion"] for name in (FIRST, "ostiary-default")]


async def test_the_revision_grows_even_when_the_clock_goes_back(world: World) -> None:
    first = await world.deliver(config(entry("crm")))
    world.clock = ManualClock(epoch=world.clock.time() - 12 * 3600)
    world.restart()
    second = await world.deliver(config(entry("wiki")))
    assert second.manifest.revision == first.manifest.revision + 1


@pytest.mark.parametrize("same", [True, False], ids=["with the same content", "with other content"])
async def test_a_revision_far_ahead_of_the_clock_is_overtaken(world: World, *, same: bool) -> None:
    right = world.clock
    world.clock = ManualClock(epoch=2.0**62 / 1000)
    world.restart()
    await world.deliver(config(entry("crm")))
    world.clock = right
    world.restart()
    done = await world.deliver(config(entry("crm" if same else "wiki")))
    assert done.manifest.revision == int(right.time() * 1000)
    again = await world.deliver(config(entry("mail")))
    assert again.manifest.revision == done.manifest.revision + 1


async def test_foreign_entries_named_like_keys_are_reported_and_removed_from_config_maps(world: World) -> None:
    await world.deliver(config(entry("crm")))
    key = base64.b64encode(b"k" * 32).decode()
    obj = world.peek()
    world.cluster.put(CONFIG_MAP, obj | {"binaryData": {"mac-1": key, "session-0": key}})
    spare = {"metadata": obj["metadata"] | {"name": "ostiary-default-7", "uid": "spare"}, "data": {"admin-token": "x"}}
    world.cluster.put(CONFIG_MAP, spare)
    seen = ClusterSnapshot([], [], (world.gateway,), {}, {GATEWAY: world.gateway_objects()})
    problems = AppliedConfigs().refresh(seen, now=world.clock.time())
    assert "holds mac-1, session-0: keys belong in the Secret only" in problems[GATEWAY]
    await world.deliver(config(entry("crm")))
    assert not misplaced(delivered_files(world.cluster))
    assert not world.peek("ostiary-default-7").get("data")


async def test_the_first_write_is_the_secret_and_the_last_is_the_manifest(world: World) -> None:
    done = await world.deliver(config(*incompressible("big", kilobytes=1500)))
    names = [write.split(" ")[1] for write in done.wrote]
    assert names[0] == "ostiary-default"
    assert names[-1] == FIRST
    assert len(names) > 3


async def test_a_compressed_part_travels_as_binary_data(world: World) -> None:
    await world.deliver(config(*(entry(f"p{n}", padding="a" * 500) for n in range(300))))
    obj = world.peek()
    assert list(obj["binaryData"]) == ["documents-0.jsonl.gz"]
    assert list(obj["data"]) == ["manifest.json"]
    assert len(world.opens()) == 300


def crashing_at(world: World, nth: int) -> None:
    """Let the nth write from now on fail, and every one after it."""
    counter = itertools.count()

    def failure(verb: str, kind: object, name: str) -> ClusterError | None:
        return Busy("crash") if verb in {"apply", "patch"} and next(counter) >= nth else None

    world.cluster.failures.append(failure)


@pytest.mark.parametrize("nth", range(6))
async def test_a_crash_between_any_two_writes_leaves_a_whole_config_and_the_next_start_completes_it(
    world: World, nth: int
) -> None:
    old = config(entry("small"), *incompressible("old", kilobytes=1500))
    new = config(entry("small"), *incompressible("new", kilobytes=1500))
    await world.deliver(old)
    old_proxies = world.opens()
    crashing_at(world, nth)
    try:
        await world.deliver(new)
    except Busy:
        assert world.opens() == old_proxies
    world.cluster.failures.clear()
    world.restart()
    done = await world.deliver(new)
    assert world.opens() == set(new.entries)
    assert done.prunable


async def test_superfluous_documents_go_only_when_every_replica_runs_the_new_revision(world: World) -> None:
    await world.deliver(config(*incompressible("old", kilobytes=1500)))
    new = config(entry("small"))
    done = await world.deliver(new)
    assert done.prunable
    assert "documents-1.jsonl.gz" in delivered_files(world.cluster)
    still = await world.deliver(new, acknowledged=done.manifest.revision - 1)
    assert (still.wrote, still.prunable) == ((), True)
    pruned = await world.deliver(new, acknowledged=done.manifest.revision)
    assert not pruned.prunable
    assert set(delivered_files(world.cluster)) == {"manifest.json", "documents-0.jsonl"}
    assert pruned.manifest == done.manifest
    assert (await world.deliver(new, acknowledged=done.manifest.revision)).wrote == ()


async def test_documents_of_older_configs_do_not_pile_up_while_no_gateway_acknowledges(world: World) -> None:
    for seed in range(5):
        await world.deliver(config(*incompressible("p", kilobytes=900, seed=seed)))
    files = delivered_files(world.cluster)
    documents = {k for n in range(16) for k in reader.documents_of(files, n)}
    now = delivered(world.cluster)
    of_two_configs = 2 * len(now.manifest.entries) + 1
    assert len(documents) <= of_two_configs


async def test_an_edited_manifest_is_not_trusted_and_is_written_again(world: World) -> None:
    first = await world.deliver(config(entry("crm")))
    obj = world.peek()
    forged = json.loads(obj["data"]["manifest.json"])
    forged["entries"], forged["revision"] = [], 2**62
    world.cluster.put(CONFIG_MAP, obj | {"data": obj["data"] | {"manifest.json": json.dumps(forged)}})
    assert reader.read(delivered_files(world.cluster), {}, gateway=GATEWAY).problem
    done = await world.deliver(config(entry("crm")))
    assert world.opens() == {"tools/crm"}
    assert done.manifest.revision == first.manifest.revision + 1


async def test_an_edited_document_is_healed_without_a_new_revision(world: World) -> None:
    first = await world.deliver(config(entry("crm")))
    obj = world.peek()
    text = obj["data"]["documents-0.jsonl"].replace("tools/crm", "tools/cr0")
    world.cluster.put(CONFIG_MAP, obj | {"data": obj["data"] | {"documents-0.jsonl": text}})
    done = await world.deliver(config(entry("crm")))
    assert done.manifest == first.manifest
    assert world.opens() == {"tools/crm"}


async def test_an_edited_part_beyond_the_first_is_healed(world: World) -> None:
    big = config(*incompressible("big", kilobytes=1500))
    await world.deliver(big)
    obj = world.peek("ostiary-default-1")
    world.cluster.put(CONFIG_MAP, {k: v for k, v in obj.items() if k != "binaryData"})
    done = await world.deliver(big)
    assert done.wrote == ("ConfigMap ostiary-default-1",)
    assert world.opens() == set(big.entries)


async def test_foreign_keys_are_removed(world: World) -> None:
    await world.deliver(config(entry("crm")))
    obj = world.peek()
    extra = {"documents-0.jsonl.gz": base64.b64encode(b"bomb").decode()}
    world.cluster.put(CONFIG_MAP, obj | {"data": obj["data"] | {"notes": "x"}, "binaryData": extra})
    stored = world.peek("ostiary-default")
    world.cluster.put(SECRET, stored | {"data": stored["data"] | {"mac-7": base64.b64encode(b"m" * 32).decode()}})
    await world.deliver(config(entry("crm")))
    assert set(delivered_files(world.cluster)) == {"manifest.json", "documents-0.jsonl"}
    assert (await world.deliver(config(entry("crm")))).wrote == ()


async def test_labels_and_owner_that_were_removed_come_back(world: World) -> None:
    await world.deliver(config(entry("crm")))
    obj = world.peek()
    bare = {"name": FIRST, "namespace": SYSTEM, "labels": {"mine": "stays"}}
    world.cluster.put(CONFIG_MAP, obj | {"metadata": bare})
    await world.deliver(config(entry("crm")))
    metadata = world.peek()["metadata"]
    assert metadata["labels"]["ostiary.dev/config"] == "default"
    assert metadata["labels"]["mine"] == "stays"
    assert metadata["ownerReferences"][0]["uid"] == world.gateway.uid


async def test_a_lost_secret_is_created_again_and_the_config_signed_again(world: World) -> None:
    await world.deliver(config(entry("crm")))
    world.cluster.remove(SECRET, namespace=SYSTEM, name="ostiary-default")
    await world.clock.advance(5)
    done = await world.deliver(config(entry("crm")))
    assert done.wrote == (*(f"Secret {name}" for name in SECRETS), f"ConfigMap {FIRST}")
    assert world.opens() == {"tools/crm"}


async def test_a_write_that_another_overtook_is_refused(world: World) -> None:
    await world.deliver(config(entry("crm")))
    seen = world.gateway_objects()
    obj = world.peek()
    world.cluster.put(CONFIG_MAP, obj | {"data": {"manifest.json": "{}"}})
    with pytest.raises(ClusterError, match="resourceVersion"):
        await world.delivery.deliver(world.gateway, config(entry("wiki")), seen, acknowledged=None)


async def test_when_the_keys_rotate_the_manifest_is_signed_with_the_new_one_at_its_moment(world: World) -> None:
    first = await world.deliver(config(entry("crm")))
    await world.clock.advance(24 * 3600)
    lead = await world.deliver(config(entry("crm")))
    assert lead.wrote == ("Secret ostiary-default",)
    assert lead.manifest == first.manifest
    await world.clock.advance(600)
    rotated = await world.deliver(config(entry("crm")))
    assert rotated.wrote == (f"ConfigMap {FIRST}",)
    assert rotated.manifest.mac is not None
    assert rotated.manifest.mac != first.manifest.mac
    assert rotated.manifest.same_content(first.manifest)
    assert world.opens() == {"tools/crm"}


async def test_a_config_is_read_back_as_it_was(world: World) -> None:
    rules = PolicyDocument(namespace="tools", name="p", uid="u", generation=3, tier="owner")
    policy = digest(rules.canonical())
    whole = config(entry("crm", policy), entry("wiki"), policies={policy: rules})
    await world.deliver(whole)
    keys = secret.parse_secret(world.peek("ostiary-default")).mac_keys()
    found = reader.read(delivered_files(world.cluster), keys, gateway=GATEWAY)
    assert found.config == whole
    assert found.problem is None


async def test_another_gateways_config_is_not_ours(world: World) -> None:
    await world.deliver(config(entry("crm")))
    keys = secret.parse_secret(world.peek("ostiary-default")).mac_keys()
    found = reader.read(delivered_files(world.cluster), keys, gateway="tools/default")
    assert found.config is None
    assert "is for gateway ostiary-system/default" in (found.problem or "")


def test_nothing_there_is_no_problem() -> None:
    assert reader.read({}, {}, gateway=GATEWAY) == reader.Delivered()


def test_undecodable_content_is_read_as_empty_and_not_trusted() -> None:
    assert reader.files_of({"binaryData": {"documents-0.jsonl.gz": "not base64!"}}) == {"documents-0.jsonl.gz": b""}
    assert reader.documents_of({"documents-1.jsonl.gz": b"", "documents-1.jsonl": b"no digest\n"}, 1) == {}


def sending(name: str) -> EntryDocument:
    """An entry whose server needs this credential."""
    plain = entry("crm")
    static = StaticCredentialConfig(header="Authorization", prefix="Bearer ", secret=f"credential-{name}")
    credential = UpstreamCredentialConfig(static=static)
    return plain.model_copy(update={"servers": [plain.servers[0].model_copy(update={"credential": credential})]})


def held(world: World) -> dict[str, bytes]:
    """The credentials in the gateway's Secret."""
    data = world.peek("ostiary-default")["data"]
    return {
        name.removeprefix("credential-"): base64.b64decode(value)
        for name, value in data.items()
        if name.startswith("credential-")
    }


async def deliver(world: World, name: str, *supplied: str, acknowledged: int | None = None) -> int:
    """Deliver a config that needs a credential; ``supplied`` are those that were read. Return its revision."""
    what: GatewayConfig = config(sending(name))
    values = {f"credential-{each}": SecretBytes(f"canary-{each}".encode()) for each in supplied}
    done = await world.delivery.deliver(
        world.gateway, what, world.gateway_objects(), acknowledged=acknowledged, credentials=values
    )
    revision: int = done.manifest.revision
    return revision


async def test_the_secret_has_old_and_new_values_until_every_replica_runs_the_new_config(world: World) -> None:
    await deliver(world, "a", "a", "unused")
    assert held(world) == {"a": b"canary-a"}
    revision = await deliver(world, "b", "b")
    assert held(world) == {"a": b"canary-a", "b": b"canary-b"}
    await deliver(world, "b", "b", acknowledged=revision)
    assert held(world) == {"b": b"canary-b"}


async def test_values_do_not_pile_up_while_no_gateway_acknowledges(world: World) -> None:
    for name in "abcdef":
        await deliver(world, name, name)
    assert held(world).keys() == {"e", "f"}


async def test_a_value_whose_secret_is_gone_stays_also_after_a_restart(world: World) -> None:
    revision = await deliver(world, "a", "a")
    world.restart()
    await deliver(world, "a", acknowledged=revision)
    assert held(world) == {"a": b"canary-a"}


async def test_no_config_map_holds_a_value(world: World) -> None:
    await deliver(world, "a", "a")
    maps = world.gateway_objects().config_maps
    assert maps
    assert "canary" not in repr(maps)
    assert base64.b64encode(b"canary-a").decode() not in repr(maps)
    assert SYSTEM in repr(maps)
