# mypy: ignore-errors
# It runs in a virtual environment of its own: FastMCP is not among our dependencies.
"""FastMCP's client as a client of the compatibility table, in both eras."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator

import client_features as features
from client_features import Agent
from fastmcp import Client
from mcp import types
from mcp.client.subscriptions import ResourceUpdated, listen


class _Agent(Agent):
    client: Client

    def revision(self):
        return self.client.session.protocol_version

    async def page(self, cursor):
        found = await self.client.list_tools_mcp(cursor=cursor)
        return [tool.name for tool in found.tools], found.next_cursor

    async def call(self, name, arguments=None, progress=None):
        async def notify(done, total, _message):
            if progress is not None:
                await progress(done, total)

        result = await self.client.call_tool(name, arguments or {}, progress_handler=notify, meta=self._meta)
        return result.content[0].text

    _meta = None

    async def abandon(self, call):
        call.cancel()
        await asyncio.wait([call])

    async def ask_for_logs(self):
        if self.revision() == features.LEGACY:
            await self.client.set_logging_level("info")
        else:
            self._meta = {"io.modelcontextprotocol/logLevel": "info"}

    async def watch(self):
        await self.client.session.subscribe_resource(features.WATCHED)

    @contextlib.asynccontextmanager
    async def listen(self):
        session = self.client.session
        async with (
            listen(session, tools_list_changed=True, resource_subscriptions=[features.WATCHED]) as events,
            asyncio.TaskGroup() as tasks,
        ):
            hearing = tasks.create_task(self._hear_all(events))
            yield
            hearing.cancel()

    async def _hear_all(self, events):
        async for event in events:
            if isinstance(event, ResourceUpdated):
                self.hear("notifications/resources/updated", uri=event.uri)
            else:
                self.hear("notifications/tools/list_changed")

    async def message(self, message):
        if isinstance(message, types.ResourceUpdatedNotification):
            self.hear(message.method, uri=message.params.uri)
        elif isinstance(message, types.ToolListChangedNotification):
            self.hear(message.method)

    async def log(self, _message):
        self.hear("notifications/message")


async def _sample(_messages, _params, _context):
    return features.MODEL_SAYS


async def _elicit(_message, _response_type, params, _context):
    return features.answer(params.requested_schema)


@contextlib.asynccontextmanager
async def _opened(url: str, revision: str) -> AsyncIterator[Agent]:
    agent = _Agent()
    async with Client(
        url,
        mode="legacy" if revision == features.LEGACY else "auto",
        cache=False,
        roots=[features.ROOT],
        sampling_handler=_sample,
        elicitation_handler=_elicit,
        message_handler=agent.message,
        log_handler=agent.log,
    ) as agent.client:
        yield agent


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    features.main(_opened)
