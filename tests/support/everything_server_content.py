"""The fixtures of the conformance suite that need no code: content, resources, prompts.

The suite looks for these names and texts; `everything_server` serves them.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from mcp.types import (
    AudioContent,
    BlobResourceContents,
    EmbeddedResource,
    GetPromptResult,
    ImageContent,
    Prompt,
    PromptArgument,
    PromptMessage,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
)

PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
"""A PNG of one red pixel, in base64."""

SILENCE: Final = base64.b64encode(
    b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data"
    b"\x00\x00\x00\x00"
).decode()
"""A WAV file without a sample, in base64."""

WATCHED: Final = "test://watched-resource"
_TEMPLATE: Final = "test://template/{id}/data"
_TEMPLATE_PATTERN: Final = re.compile(r"test://template/([^/]+)/data")

TEMPLATES: Final = (
    ResourceTemplate(
        uri_template=_TEMPLATE,
        name="template",
        description="A resource for every id",
        mime_type="application/json",
    ),
)


def text(value: str) -> TextContent:
    """A block of text."""
    return TextContent(type="text", text=value)


def image() -> ImageContent:
    """The pixel."""
    return ImageContent(type="image", data=PIXEL, mime_type="image/png")


def audio() -> AudioContent:
    """The silence."""
    return AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")


def embedded(uri: str, content: str, mime_type: str = "text/plain") -> EmbeddedResource:
    """A resource inside a result."""
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=content))


RESOURCES: Final = (
    Resource(
        uri="test://static-text", name="static-text", description="A text that never changes", mime_type="text/plain"
    ),
    Resource(
        uri="test://static-binary",
        name="static-binary",
        description="A picture that never changes",
        mime_type="image/png",
    ),
    Resource(
        uri=WATCHED,
        name="watched-resource",
        description="A text that test_touch_resource changes",
        mime_type="text/plain",
    ),
)


def read(uri: str) -> TextResourceContents | BlobResourceContents | None:
    """What a URI holds, or None if it is not ours."""
    if uri == "test://static-text":
        content = "This is the content of the static text resource."
        return TextResourceContents(uri=uri, mime_type="text/plain", text=content)
    if uri == "test://static-binary":
        return BlobResourceContents(uri=uri, mime_type="image/png", blob=PIXEL)
    if uri == WATCHED:
        return TextResourceContents(uri=uri, mime_type="text/plain", text="Watched resource content")
    if match := _TEMPLATE_PATTERN.fullmatch(uri):
        data = {"id": match[1], "templateTest": True, "data": f"Data for ID: {match[1]}"}
        return TextResourceContents(uri=uri, mime_type="application/json", text=json.dumps(data))
    return None


def _argument(name: str, description: str) -> PromptArgument:
    return PromptArgument(name=name, description=description, required=True)


PROMPTS: Final = (
    Prompt(name="test_simple_prompt", description="A prompt without arguments"),
    Prompt(
        name="test_prompt_with_arguments",
        description="A prompt with two arguments",
        arguments=[_argument("arg1", "First test argument"), _argument("arg2", "Second test argument")],
    ),
    Prompt(
        name="test_prompt_with_embedded_resource",
        description="A prompt that embeds a resource",
        arguments=[_argument("resourceUri", "URI of the resource to embed")],
    ),
    Prompt(name="test_prompt_with_image", description="A prompt with a picture"),
    Prompt(name="test_input_required_result_prompt", description="A prompt that asks for a context first (MRTR)"),
)


def _with_arguments(arguments: Mapping[str, str]) -> list[TextContent | EmbeddedResource | ImageContent]:
    return [text(f"Prompt with arguments: arg1='{arguments.get('arg1')}', arg2='{arguments.get('arg2')}'")]


_PROMPTS: Final[Mapping[str, Callable[[Mapping[str, str]], list[TextContent | EmbeddedResource | ImageContent]]]] = {
    "test_simple_prompt": lambda _: [text("This is a simple prompt for testing.")],
    "test_prompt_with_arguments": _with_arguments,
    "test_prompt_with_embedded_resource": lambda arguments: [
        embedded(arguments.get("resourceUri", ""), "Embedded resource content for testing."),
        text("Please process the embedded resource above."),
    ],
    "test_prompt_with_image": lambda _: [image(), text("Please analyze the image above.")],
}


def prompt(name: str, arguments: Mapping[str, str]) -> GetPromptResult | None:
    """The messages of a prompt, or None if there is none of that name (or it needs input first)."""
    if name not in _PROMPTS:
        return None
    messages = [PromptMessage(role="user", content=content) for content in _PROMPTS[name](arguments)]
    return GetPromptResult(messages=messages)
