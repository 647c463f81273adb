from types import SimpleNamespace

from ostiary_operator.demo.mock_server.middleware import Activity


async def test_made_up_tool_names_do_not_fill_the_memory() -> None:
    activity = Activity()

    for number in range(1000):
        await _call(activity, f"made-up-{number}")
    await _call(activity, "x" * 1_000_000)

    calls = activity.report()["calls"]
    assert sum(calls.values()) == 1001
    assert len(calls) <= 101
    assert max(map(len, calls)) < 200


async def _call(activity: Activity, name: str) -> None:
    async def answer(_: object) -> None:
        return None

    await activity(SimpleNamespace(method="tools/call", params={"name": name}), answer)  # type: ignore[arg-type]
