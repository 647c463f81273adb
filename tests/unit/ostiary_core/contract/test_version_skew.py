"""Operator and gateways of different versions: upgraded in any order, no config is lost, and the status explains it.

`tests/contract/` holds configs as earlier versions of the operator wrote them, signed with a key of 32 `k`. They are
never rewritten: a config that this version can no longer read breaks an upgrade.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from configs import ConfigWriter, entry
from gateways import BOUNDS

from ostiary_core.canonical import digest
from ostiary_core.contract import mac, parts
from ostiary_core.contract.bundle import Bundle, GatewayConfig, fold_config, stamp
from ostiary_core.contract.documents import SettingsDocument
from ostiary_core.contract.manifest import GatewayIdentity, parse_manifest
from ostiary_gateway.config.keyring import Keyring
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.pools import ServerPools
from ostiary_operator.delivery import reader

CONTRACTS = Path(__file__).parents[3] / "contract"
OLDER = sorted(path.name for path in CONTRACTS.iterdir())
OLD_KEY = {"mac-1": b"k" * 32}
OLD_GATEWAY = "ostiary-system/default"


def store(gateway: str) -> ConfigStore:
    return ConfigStore(gateway=gateway, servers=ServerPools(OwnEndpoints()).take)


def files_in(version: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (CONTRACTS / version).iterdir()}


@pytest.mark.parametrize("version", OLDER)
async def test_a_gateway_takes_what_an_earlier_operator_wrote(version: str) -> None:
    it = store(OLD_GATEWAY)
    await it.offer("directory", files_in(version), Keyring(dict(OLD_KEY)))
    assert it.rejected_config is None
    assert it.snapshot is not None
    assert {"team-a/crm", "team-a/open"} <= it.snapshot.proxies.keys()
    assert it.rejected_entries == {}


@pytest.mark.parametrize("version", OLDER)
def test_an_operator_reads_back_what_an_earlier_one_wrote_so_that_the_last_accepted_stays(version: str) -> None:
    found = reader.read(files_in(version), OLD_KEY, gateway=OLD_GATEWAY)
    assert found.problem is None
    assert found.config is not None
    assert {"owner", "platform", "closed"} == {each.name for each in found.config.policies.values()}


@pytest.mark.parametrize("version", OLDER)
async def test_a_newer_operator_continues_from_the_state_of_an_earlier_one(version: str) -> None:
    it = store(OLD_GATEWAY)
    await it.offer("directory", files_in(version), Keyring(dict(OLD_KEY)))
    before = parse_manifest(files_in(version)["manifest.json"])
    identity = GatewayIdentity(namespace="ostiary-system", name="default")
    config = GatewayConfig(identity, SettingsDocument(bounds=BOUNDS), {"default/new": entry("new")}, {})
    bundle = stamp(fold_config(config), revision=before.revision + 1, key_name="mac-1", key=OLD_KEY["mac-1"])
    await it.offer("directory", written(bundle), Keyring(dict(OLD_KEY)))
    assert it.snapshot is not None
    assert list(it.snapshot.proxies) == ["default/new"]


def written(bundle: Bundle) -> dict[str, bytes]:
    files = {name: content for part in bundle.files for name, content in part.items()}
    return files | {"manifest.json": bundle.manifest.canonical()}


def of_the_next_version(files: dict[str, bytes], operator: ConfigWriter) -> dict[str, bytes]:
    return {**files, "manifest.json": files["manifest.json"].replace(b"config/v1", b"config/v2")}


def with_a_member_of_tomorrow(kind: str) -> Callable[[dict[str, bytes], ConfigWriter], dict[str, bytes]]:
    """Rewrite a config as an operator would that knows one more restriction: signed, consistent, and not understood."""

    def rewritten(files: dict[str, bytes], operator: ConfigWriter) -> dict[str, bytes]:
        manifest = parse_manifest(files["manifest.json"])
        documents = {}
        renamed = {}
        for key, text in parts.read("documents-0.jsonl", files["documents-0.jsonl"], limit=1 << 20).documents.items():
            newer = text[:-1] + b',"zRestriction":"strict"}' if f'"kind":"{kind}"'.encode() in text else text
            renamed[key] = digest(newer)
            documents[renamed[key]] = newer
        # Entries name their policies by digest, so those that carry a changed one change too.
        folded = parts.fold(documents)
        entries = [each.model_copy(update={"digest": renamed[each.digest]}) for each in manifest.entries]
        update = {"entries": entries, "settings": renamed[manifest.settings], "parts": [digest(folded)], "mac": None}
        signed = mac.sign(manifest.model_copy(update=update), key_name="mac-1", key=operator.mac_key)
        return {"manifest.json": signed.canonical(), "documents-0.jsonl": folded}

    return rewritten


NEWER = {
    "of the next version": (of_the_next_version, "does not read 'ostiary.dev/config/v2'"),
    "with settings of tomorrow": (with_a_member_of_tomorrow("settings"), "settings: zRestriction: Ostiary"),
    "with an entry of tomorrow": (with_a_member_of_tomorrow("entry"), "entry: zRestriction: Ostiary"),
}


@pytest.mark.parametrize("what", NEWER)
async def test_what_a_newer_operator_wrote_is_refused_by_name_with_the_remedy_and_the_last_good_stays(
    what: str,
) -> None:
    rewrite, complaint = NEWER[what]
    operator, it = ConfigWriter(), store("ostiary/default")
    await it.offer("directory", operator.files(entry("crm")), operator.keys)
    before = it.snapshot
    assert before is not None
    await it.offer("directory", rewrite(operator.files(entry("crm", path="/moved")), operator), operator.keys)

    assert it.snapshot is not None
    assert it.snapshot.proxies["default/crm"].digest == before.proxies["default/crm"].digest
    messages = [each.message for each in it.rejected_entries.values()]
    messages += [it.rejected_config.message] if it.rejected_config is not None else []
    (message,) = messages
    assert complaint in message
    assert "upgrade this side, or downgrade the operator" in message
