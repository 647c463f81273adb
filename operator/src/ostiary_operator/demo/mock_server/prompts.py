"""The prompts, and completion for their arguments and for the resource template's variable."""

from collections.abc import Iterable
from typing import Annotated, Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    EmbeddedResource,
    PromptReference,
    TextResourceContents,
)
from pydantic import Field

from ostiary_operator.demo.mock_server.sample_resources import USER_TEMPLATE
from ostiary_operator.demo.mock_server.sample_store import NotFoundError, Store
from ostiary_operator.demo.mock_server.sessions import user_uri

TONES: Final = ("formal", "friendly", "playful")
"""The completions of the argument `tone`."""

_MAX_COMPLETIONS = 100
"""The specification's limit for the values of one completion."""


def register(server: MCPServer, store: Store) -> None:
    """Register the prompts."""

    @server.prompt(title="Get started")
    async def get_started() -> str:
        """Show what this server can do."""
        return "List the tools of the mock server by category, then call get_users and show me the result as a table."

    @server.prompt(title="Introduce a user")
    async def introduce_user(
        user_id: Annotated[str, Field(description="The id of the user to introduce.")],
    ) -> list[UserMessage]:
        """Introduce one user in a few sentences; the user's record comes along as a resource."""
        try:
            user = store.user(int(user_id))
        except (NotFoundError, ValueError) as error:
            raise MCPError(INVALID_PARAMS, f"There is no user {user_id[:50]!r}") from error
        record = TextResourceContents(
            uri=user_uri(user.id), mime_type="application/json", text=user.model_dump_json(indent=2)
        )
        return [
            UserMessage(f"Introduce {user.name} in three sentences."),
            UserMessage(EmbeddedResource(type="resource", resource=record)),
        ]

    @server.prompt(title="Draft a post")
    async def draft_post(
        topic: Annotated[str, Field(description="What the post is about.")],
        tone: Annotated[str, Field(description=f"One of {', '.join(TONES)}.")] = "friendly",
    ) -> str:
        """Draft a post on a topic in a tone, ready for create_post."""
        return f"Draft a {tone} post of about 100 words on: {topic}. Then save it with create_post."


class Completer:
    """Completes the arguments of the prompts and the variable of the resource template."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def complete(self, _: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        """Handle `completion/complete`; unknown arguments have no values."""
        about = params.ref.name if isinstance(params.ref, PromptReference) else params.ref.uri
        return CompleteResult(completion=_matching(self._values(about, params.argument.name), params.argument.value))

    def _values(self, about: str, argument: str) -> Iterable[str]:
        if (about, argument) in {("introduce_user", "user_id"), (USER_TEMPLATE, "id")}:
            return [str(user.id) for user in self._store.users()]
        if (about, argument) == ("draft_post", "tone"):
            return TONES
        return ()


def _matching(values: Iterable[str], typed: str) -> Completion:
    found = [value for value in values if value.startswith(typed)]
    return Completion(values=found[:_MAX_COMPLETIONS], total=len(found), has_more=len(found) > _MAX_COMPLETIONS)


async def refuse_bad_prompts(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: answer an unknown prompt or a missing argument with -32602, as specified.

    The SDK raises a ValueError, which the client would get as an internal error.
    """
    try:
        return await call_next(ctx)
    except ValueError as error:
        if ctx.method != "prompts/get":
            raise
        raise MCPError(INVALID_PARAMS, str(error)) from error
