"""Events for changes that weaken protection, on a real API server with the rights of the chart."""

from typing import Any

from operator_environment import OperatorEnvironment, eventually, running_operator

from ostiary_operator.compile.weakening import REASONS
from ostiary_operator.kube.kinds import CONFIG_MAP, POLICY, PROXY, SERVICE

JWT = {"jwt": {"issuers": [{"issuer": "https://id.example.com"}]}}
DENY = {"name": "no-delete", "effect": "Deny", "tools": {"names": ["delete_user"]}}
ALLOW = {"name": "read", "effect": "Allow", "tools": {"names": ["get_users"]}}


def events(world: OperatorEnvironment, namespace: str | None = None) -> list[tuple[str, str, str]]:
    """Object, reason and note of each Event for a weakening."""
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace or world.team}/events"
    return [
        (f"{it['regarding']['kind']} {it['regarding']['name']}", it["reason"], it["note"])
        for it in world.api.request("GET", path)["items"]
        if it["reason"] in REASONS and it["type"] == "Warning"
    ]


async def accepted(world: OperatorEnvironment, name: str) -> None:
    def is_accepted() -> bool:
        obj = world.get(POLICY, name) or {}
        return (
            world.condition(POLICY, name, "Accepted")[0] == "True"
            and obj["status"].get("observedGeneration") == obj["metadata"]["generation"]
        )

    await eventually(is_accepted)


async def test_each_change_that_weakens_is_one_event_that_names_object_field_and_both_values(
    world: OperatorEnvironment,
) -> None:
    expected: list[tuple[str, str, str]] = []

    async def seen(*more: tuple[str, str, str]) -> None:
        expected.extend(more)
        await eventually(lambda: sorted(events(world)) == sorted(expected), what=f"{more}")

    async with running_operator(world.options()):
        world.has_proxy("crm")
        world.has_policy("p", "crm", access={"rules": [ALLOW, DENY]}, authentication=JWT)
        await eventually(lambda: world.served() == {"crm"})
        await accepted(world, "p")
        world.patch(POLICY, "p", {"spec": {"access": {"rules": [ALLOW]}}})
        await seen(("MCPPolicy p", "DenyRemoved", "spec.access.rules: rules no-delete → no rule"))
        world.patch(POLICY, "p", {"spec": {"authentication": {"anonymous": {}}}})
        await seen(
            (
                "MCPPolicy p",
                "AnonymousAdmitted",
                "spec.authentication: jwt https://id.example.com → anonymous, jwt https://id.example.com",
            )
        )
        world.patch(POLICY, "p", {"spec": {"authentication": None}})
        await seen(
            (
                "MCPPolicy p",
                "AuthenticationRemoved",
                "spec.authentication: anonymous, jwt https://id.example.com → none",
            )
        )
        world.patch(POLICY, "p", {"spec": {"mode": "Shadow"}})
        await seen(("MCPPolicy p", "SwitchedToShadow", "spec.mode: Enforce → Shadow"))
        world.patch(POLICY, "p", {"spec": {"mode": "Enforce"}})
        await accepted(world, "p")
        world.patch(PROXY, "crm", {"spec": {"servers": [{"name": "up", "url": "http://other.example.com/mcp"}]}})
        await eventually(lambda: any(reason == "UpstreamChanged" for _, reason, _ in events(world)))
        expected += [each for each in events(world) if each[1] == "UpstreamChanged"]
        assert expected[-1][2].endswith("→ http://other.example.com/mcp")
        world.delete(POLICY, "p")
        title = f"MCPPolicy {world.team}/p"
        await seen(("MCPProxy crm", "PolicyDeleted", f"{title}: governs it → deleted"))


async def test_a_change_that_is_not_accepted_is_no_event_and_a_restart_repeats_none(world: OperatorEnvironment) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm")
        world.has_policy("p", "crm", access={"rules": [ALLOW, DENY]})
        await accepted(world, "p")
        world.patch(POLICY, "p", {"spec": {"access": {"rules": [ALLOW | {"when": "claims.x + "}]}}})
        await eventually(lambda: world.condition(POLICY, "p", "Accepted")[0] == "False")
        assert events(world) == []
        world.patch(POLICY, "p", {"spec": {"access": {"rules": [ALLOW]}}})
        await eventually(lambda: len(events(world)) == 1)
    async with running_operator(world.options()):
        world.has_proxy("wiki")
        await eventually(lambda: world.served() == {"crm", "wiki"})
        world.delete(POLICY, "p")
        await eventually(lambda: len(events(world)) == 2)
    assert [reason for _, reason, _ in sorted(events(world))] == ["DenyRemoved", "PolicyDeleted"]


async def test_a_change_while_no_operator_runs_is_an_event_of_the_next_one(world: OperatorEnvironment) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm")
        world.has_policy("p", "crm", access={"rules": [ALLOW]})
        await accepted(world, "p")
    world.patch(POLICY, "p", {"spec": {"mode": "Shadow"}})
    async with running_operator(world.options()):
        await eventually(lambda: [reason for _, reason, _ in events(world)] == ["SwitchedToShadow"])


async def test_a_removed_block_and_a_looser_setting_are_events_of_the_gateways_service(
    world: OperatorEnvironment,
) -> None:
    def settings(text: str) -> dict[str, Any]:
        labels = {"ostiary.dev/gateway": "default", "ostiary.dev/usage": "settings"}
        metadata = {"name": "default-settings", "namespace": world.system, "labels": labels}
        return {"metadata": metadata, "data": {"settings.yaml": text}}

    world.create(CONFIG_MAP, settings("{withoutPolicy: Deny, blocked: {proxies: [sales/crm]}}"))
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: world.served() == {"crm"})
        world.patch(CONFIG_MAP, "default-settings", settings("{}"))
        service = (world.get(SERVICE, "ostiary-gateway-default") or {})["metadata"]["name"]
        expected = [
            (f"Service {service}", "BlockRemoved", "blocked.proxies: sales/crm → none"),
            (f"Service {service}", "SettingLoosened", "withoutPolicy: Deny → Allow"),
        ]
        await eventually(lambda: sorted(events(world, world.system)) == expected)
