"""Names that allow nothing where servers are merged."""

import pytest

from ostiary_core.contract.access import AccessRulesConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_operator.compile.unprefixed_names import first_unprefixed

TIMEOUTS = {"connect": 1, "request": 1, "idle": 1}


def entry(*prefixes: str, name: str = "tools") -> EntryDocument:
    servers = [
        {"name": f"s{place}", "url": "http://s", "timeouts": TIMEOUTS, "prefix": prefix}
        for place, prefix in enumerate(prefixes)
    ]
    fixed = {"namespace": "a", "name": name, "uid": "u", "generation": 1, "path": "/t", "serverSelection": "Merge"}
    return EntryDocument.model_validate({**fixed, "servers": servers})


def policy(*names: str, effect: str = "Allow") -> PolicyDocument:
    rules = [{"name": "r", "effect": effect, "tools": {"names": list(names)}}]
    access = AccessRulesConfig.model_validate({"rules": rules}, strict=False)
    return PolicyDocument(namespace="a", name="p", uid="u", generation=1, tier="owner", access=access)


MERGED = entry("crm_", "erp_")


@pytest.mark.parametrize("name", ["crm_read", "crm_*", "c*", "*", "*_read", "cr*d", "erp_*_x"])
def test_a_name_that_some_server_could_own_is_none_of_them(name: str) -> None:
    assert first_unprefixed(policy(name), [MERGED]) is None


@pytest.mark.parametrize("name", ["read", "crm", "crm_", "read_*", "mcrm_read", "Crm_*"])
def test_a_name_with_the_prefix_of_no_server_is_found_with_its_field_and_the_remedy(name: str) -> None:
    found = first_unprefixed(policy("crm_a", name), [MERGED])
    assert found is not None
    assert (found.field, found.name) == ("spec.access.rules[0].tools.names[1]", name)
    assert str(found).endswith(f"MCPProxy a/tools has one that it begins with; write for example crm_{name}")


def test_a_deny_may_name_what_a_server_calls_it() -> None:
    assert first_unprefixed(policy("read", effect="Deny"), [MERGED]) is None


def test_a_target_that_exposes_names_as_they_are_could_own_any() -> None:
    single = entry("x").model_copy(update={"server_selection": None})
    for others in ([entry("crm_", "")], [single], []):
        assert first_unprefixed(policy("read"), [*others, *([MERGED] if others else [])]) is None


def test_a_prefix_of_any_target_is_enough() -> None:
    assert first_unprefixed(policy("hr_read"), [MERGED, entry("hr_", "x_", name="other")]) is None
