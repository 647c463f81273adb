"""What a server's tools, prompts and resources are called in the catalogue of several servers."""

import pytest

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.exposed_names import LONGEST_NAME
from ostiary_core.exposed_uris import LONGEST_URI
from ostiary_core.mcp.methods import Primitive

NAMES = CatalogueNames([("crm", "crm_"), ("web", "")])
TOOLS, RESOURCES = Primitive.TOOLS, Primitive.RESOURCES


def test_tools_and_prompts_have_prefixes_and_resources_have_marks() -> None:
    assert NAMES.exposed(TOOLS, 0, "a") == NAMES.exposed(Primitive.PROMPTS, 0, "a") == "crm_a"
    assert NAMES.exposed(RESOURCES, 0, "ui://a") == "ui://crm/a"
    assert NAMES.owner_of(TOOLS, "crm_a") == (0, "a")
    assert NAMES.owner_of(RESOURCES, "ui://crm/a") == (0, "ui://a")
    assert NAMES.owner_of(RESOURCES, "crm_a") == (1, "crm_a")


@pytest.mark.parametrize(
    ("primitive", "server", "name"),
    [
        (TOOLS, 1, "crm_a"),
        (TOOLS, 0, ""),
        (TOOLS, 0, "x" * (LONGEST_NAME - 3)),
        (RESOURCES, 1, "ui://crm/a"),
        (RESOURCES, 0, "{+uri}"),
        (RESOURCES, 0, "ui://" + "x" * LONGEST_URI),
    ],
)
def test_what_can_have_no_name_has_none(primitive: Primitive, server: int, name: str) -> None:
    assert NAMES.exposed(primitive, server, name) is None


def test_the_longest_name_is_kept_whole() -> None:
    assert NAMES.exposed(TOOLS, 0, "x" * (LONGEST_NAME - 4)) == "crm_" + "x" * (LONGEST_NAME - 4)
