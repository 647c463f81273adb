"""The reference of spans names what the code records, and nothing else."""

import re
from pathlib import Path

from ostiary_gateway.telemetry import semantic_conventions
from ostiary_operator.controller.span_names import SERVICE, SpanAttribute, SpanName

PAGE = (Path(__file__).parents[3] / "docs/reference/spans.md").read_text()
_KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
#: Constants of the conventions that are no keys of attributes.
_NO_ATTRIBUTES = {"SCOPE_NAME", "SCHEMA_URL", "MCP_SERVER_OPERATION_DURATION", "MCP_CLIENT_OPERATION_DURATION"}


def gateway_attributes() -> set[str]:
    found = {name: value for name, value in vars(semantic_conventions).items() if name.isupper()}
    keys = {value for name, value in found.items() if name not in _NO_ATTRIBUTES and isinstance(value, str)}
    return {key for key in keys if _KEY.fullmatch(key)}


def sections() -> dict[str, str]:
    parts = re.split(r"^## ", PAGE, flags=re.M)[1:]
    return {part.partition("\n")[0]: part for part in parts}


def keys_in(text: str) -> set[str]:
    """Return the keys of attributes in the first column of a section's tables."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row) if _KEY.fullmatch(key)}


def test_each_attribute_of_the_gateway_is_in_the_reference_and_no_other() -> None:
    of_gateway = "".join(text for title, text in sections().items() if title.startswith(("Resource", "The gateway")))
    missing = gateway_attributes() - keys_in(of_gateway)
    assert missing == set(), "add each to docs/reference/spans.md, in the table of its span"
    assert keys_in(of_gateway) - gateway_attributes() == set(), "remove each from docs/reference/spans.md"


def test_each_attribute_and_span_of_the_operator_is_in_the_reference_and_no_other() -> None:
    section = sections()["The operator"]
    assert keys_in(section) == {str(each) for each in SpanAttribute}
    spans = set(re.findall(r"^\| `([a-z ]+)` \|", section, flags=re.M))
    assert spans == {str(each) for each in SpanName}
    assert SERVICE in PAGE


def test_the_span_of_a_config_swap_has_its_name_in_the_reference() -> None:
    assert f"`{semantic_conventions.CONFIG_SPAN_NAME}`" in PAGE
