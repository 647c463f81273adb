# mypy: ignore-errors
# It runs in a virtual environment of its own: two major versions of one package do not fit into one.
"""The official Python SDK 1.x as a client of the compatibility table."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import client_features as features
from client_features import Agent
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl


class _Agent(Agent):
    session: ClientSession
    negotiated = ""

    def revision(self):
        return self.negotiated

    async def page(self, cursor):
        found = await self.session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
        return [tool.name for tool in found.tools], found.nextCursor

    async def call(self, name, arguments=None, progress=None):
        async def notify(done, total, _message):
            await progress(done, total)

        self.last_id = self.session._request_id  # no other way to name it when it is cancelled
        result = await self.session.call_tool(name, arguments or {}, progress_callback=notify if progress else None)
        return result.content[0].text

    async def abandon(self, call):
        params = types.CancelledNotificationParams(requestId=self.last_id, reason="the user left")
        await self.session.send_notification(types.ClientNotification(types.CancelledNotification(params=params)))
        call.cancel()
        await asyncio.wait([call])

    async def ask_for_logs(self):
        await self.session.set_logging_level("info")

    async def watch(self):
        await self.session.subscribe_resource(AnyUrl(features.WATCHED))

    def listen(self):
        raise NotImplementedError

    async def message(self, message):
        if not isinstance(message, types.ServerNotification):
            return
        notification = message.root
        if isinstance(notification, types.ResourceUpdatedNotification):
            self.hear(notification.method, uri=str(notification.params.uri))
        elif isinstance(notification, types.ToolListChangedNotification):
            self.hear(notification.method)

    async def log(self, _params):
        self.hear("notifications/message")


async def _sample(_context, _params):
    content = types.TextContent(type="text", text=features.MODEL_SAYS)
    return types.CreateMessageResult(role="assistant", content=content, model="test")


async def _elicit(_context, params):
    return types.ElicitResult(action="accept", content=features.answer(params.requestedSchema))


async def _list_roots(_context):
    return types.ListRootsResult(roots=[types.Root(uri=features.ROOT)])


@contextlib.asynccontextmanager
async def _opened(url: str, _revision: str) -> AsyncIterator[Agent]:
    agent = _Agent()
    async with (
        streamable_http_client(url) as (read, write, _),
        ClientSession(
            read,
            write,
            sampling_callback=_sample,
            elicitation_callback=_elicit,
            list_roots_callback=_list_roots,
            message_handler=agent.message,
            logging_callback=agent.log,
        ) as agent.session,
    ):
        agent.negotiated = (await agent.session.initialize()).protocolVersion
        yield agent


if __name__ == "__main__":
    features.main(_opened)
