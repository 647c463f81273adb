"""The official Python SDK 2.x as a client of the compatibility table, in both eras."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from typing import Any

import client_features as features
from client_features import Agent, OnProgress
from mcp import Client, types
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPDeprecationWarning


class _Agent(Agent):
    client: Client

    def revision(self) -> str:
        return self.client.protocol_version

    async def page(self, cursor: str | None) -> tuple[list[str], str | None]:
        found = await self.client.list_tools(cursor=cursor)
        return [tool.name for tool in found.tools], found.next_cursor

    async def call(self, name: str, arguments: dict[str, Any] | None = None, progress: OnProgress | None = None) -> str:
        on_progress = progress

        async def notify(progress: float, total: float | None, message: str | None) -> None:
            if on_progress is not None:
                await on_progress(progress, total)

        result = await self.client.call_tool(name, arguments or {}, progress_callback=notify if on_progress else None)
        assert isinstance(result.content[0], types.TextContent)
        return result.content[0].text

    async def abandon(self, call: "asyncio.Task[str]") -> None:
        call.cancel()
        await asyncio.wait([call])

    async def ask_for_logs(self) -> None:
        if self.revision() == features.LEGACY:  # else `log_level` of the client asks with every request
            await self.client.set_logging_level("info")

    async def watch(self) -> None:
        await self.client.subscribe_resource(features.WATCHED)

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[None]:
        async with (
            self.client.listen(tools_list_changed=True, resource_subscriptions=[features.WATCHED]) as events,
            asyncio.TaskGroup() as tasks,
        ):
            hearing = tasks.create_task(self._hear_all(events))
            yield
            hearing.cancel()

    async def _hear_all(self, events: Any) -> None:
        async for event in events:
            if isinstance(event, ResourceUpdated):
                self.hear("notifications/resources/updated", uri=event.uri)
            else:
                self.hear("notifications/tools/list_changed")

    async def message(self, message: object) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            self.hear(message.method, uri=message.params.uri)
        elif isinstance(message, types.ToolListChangedNotification):
            self.hear(message.method)

    async def log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.hear("notifications/message", level=params.level)


async def _sample(context: Any, params: Any) -> types.CreateMessageResult:
    content = types.TextContent(type="text", text=features.MODEL_SAYS)
    return types.CreateMessageResult(role="assistant", content=content, model="test")


async def _elicit(context: Any, params: Any) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content=features.answer(params.requested_schema))


async def _list_roots(context: Any) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[types.Root.model_validate({"uri": features.ROOT})])


@contextlib.asynccontextmanager
async def _opened(url: str, revision: str) -> AsyncIterator[Agent]:
    agent = _Agent()
    async with Client(
        url,
        mode="legacy" if revision == features.LEGACY else "auto",
        cache=None,
        log_level="info",
        sampling_callback=_sample,
        elicitation_callback=_elicit,
        list_roots_callback=_list_roots,
        message_handler=agent.message,
        logging_callback=agent.log,
    ) as agent.client:
        yield agent


if __name__ == "__main__":
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    features.main(_opened)
