"""Which Secrets with API keys are read, when they are read again, and that no key is kept."""

import base64
import gc
import hashlib
from typing import Any

from operator_objects import populated

from ostiary_operator.compile.model import ApiKeySecret, Missing
from ostiary_operator.kube.api_keys import ApiKeyReader
from ostiary_operator.kube.changed_namespaces import NOTHING, ChangedNamespaces
from ostiary_operator.kube.errors import Forbidden
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import SECRET

KEY = "agent-example-key"


def put(cluster: FakeClient, name: str, key: str = KEY, *, namespace: str = "tools", usage: str = "api-key") -> None:
    metadata = {"name": name, "namespace": namespace, "labels": {"ostiary.dev/usage": usage}}
    cluster.put(SECRET, {"metadata": metadata, "data": {"key": base64.b64encode(key.encode()).decode()}})


def digests(found: tuple[ApiKeySecret, ...] | Missing) -> list[str]:
    assert not isinstance(found, Missing)
    return [digest for secret in found for _, digest in secret.digests]


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


async def test_only_secrets_with_the_label_are_read_and_only_in_the_namespaces_that_need_them() -> None:
    cluster = populated()
    put(cluster, "agent")
    put(cluster, "certificates", "another-example-key", usage="ca")
    put(cluster, "elsewhere", "third-example-key", namespace="sales")
    found = await ApiKeyReader(cluster).read({"tools"})
    assert {namespace: digests(each) for namespace, each in found.items()} == {"tools": [sha256(KEY)]}


async def test_a_namespace_is_read_again_only_after_a_change() -> None:
    cluster = populated()
    put(cluster, "agent")
    reader = ApiKeyReader(cluster)
    await reader.read({"tools"})
    put(cluster, "agent", "rotated-example-key")
    assert digests((await reader.read({"tools"}, NOTHING))["tools"]) == [sha256(KEY)]
    changed = ChangedNamespaces.within(["tools"])
    assert digests((await reader.read({"tools"}, changed))["tools"]) == [sha256("rotated-example-key")]


async def test_a_namespace_whose_secrets_may_not_be_listed_leaves_the_others() -> None:
    cluster = populated()
    put(cluster, "agent", namespace="sales")
    cluster.fail("list", SECRET, Forbidden("no"), times=1)
    found = await ApiKeyReader(cluster).read(["sales", "tools"])
    assert Missing.FORBIDDEN in found.values()
    assert len([each for each in found.values() if not isinstance(each, Missing)]) == 1


async def test_a_reader_keeps_no_key() -> None:
    cluster = populated()
    secret = "only-in-this-secret-0123456789"
    put(cluster, "agent", secret)
    reader = ApiKeyReader(cluster)
    found = await reader.read({"tools"})
    encoded = base64.b64encode(secret.encode()).decode()
    kept = "".join(map(repr, _reachable(reader._known))) + repr(found)
    assert secret not in kept
    assert encoded not in kept


def _reachable(root: Any) -> list[Any]:
    found, todo = [], [root]
    while todo:
        each = todo.pop()
        if isinstance(each, str | bytes):
            found.append(each)
        elif isinstance(each, dict | tuple | list | ApiKeySecret):
            todo.extend(gc.get_referents(each))
    return found
