"""Notifies subscribers of changed resources, as their protocol revision requires."""

from mcp.server.subscriptions import ResourceUpdated, SubscriptionBus

from ostiary_operator.demo.mock_server.sessions import Sessions

USERS_URI = "mock://users"
POSTS_URI = "mock://posts"


def user_uri(user_id: int) -> str:
    """Return the URI of a user's resource."""
    return f"{USERS_URI}/{user_id}"


class Updates:
    """Publishes to `subscriptions/listen` streams (2026-07-28) and to sessions (before)."""

    def __init__(self, *, bus: SubscriptionBus, sessions: Sessions) -> None:
        self._bus = bus
        self._sessions = sessions

    async def publish(self, *uris: str) -> None:
        """Notify subscribers that these resources changed."""
        for uri in uris:
            await self._bus.publish(ResourceUpdated(uri=uri))
            await self._sessions.resource_updated(uri)
