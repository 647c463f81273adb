"""Rules about contents that are for servers which no target has."""

from typing import Any

from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.contract.masks import MaskConfig
from ostiary_core.contract.transforms import TransformConfig
from ostiary_core.contract.validation import ValidationConfig
from ostiary_operator.compile.unknown_servers import first_unknown_server

TIMEOUTS = {"connect": 1, "request": 1, "idle": 1}


def entry(*names: str) -> EntryDocument:
    servers = [{"name": name, "url": "http://s", "timeouts": TIMEOUTS} for name in names]
    fixed = {"namespace": "a", "name": "tools", "uid": "u", "generation": 1, "path": "/t"}
    return EntryDocument.model_validate({**fixed, "servers": servers})


def policy(**members: Any) -> PolicyDocument:
    return PolicyDocument(namespace="a", name="p", uid="u", generation=1, tier="owner", **members)


def mask(*servers: str) -> MaskConfig:
    config = {"name": "m", "directions": ["Results"], "detect": [{"kind": "Email"}], "action": "Mask"}
    return MaskConfig.model_validate({**config, "servers": list(servers)}, strict=False)


def test_a_server_that_no_target_has_is_found_with_its_field_and_a_similar_name() -> None:
    found = first_unknown_server(policy(masks=[mask("crm"), mask("crm", "weather")]), [entry("crm", "wether")])
    assert found is not None
    assert (found.field, found.name) == ("spec.masks[1].servers[1]", "weather")
    assert str(found).endswith("did you mean wether?")


def test_every_kind_of_rule_is_looked_at() -> None:
    transform = TransformConfig.model_validate({"name": "t", "servers": ["x"], "arguments": {"remove": [["a"]]}})
    for members, field in (
        ({"transforms": [transform]}, "spec.transforms[0].servers[0]"),
        (
            {"validation": ValidationConfig.model_validate({"servers": ["x"], "coerce": "Off"})},
            "spec.validation.servers[0]",
        ),
    ):
        found = first_unknown_server(policy(**members), [entry("crm")])
        assert found is not None
        assert found.field == field
        assert "the targets have crm" in str(found)


def test_a_server_of_any_target_is_known_and_a_policy_without_targets_has_another_fault() -> None:
    assert first_unknown_server(policy(masks=[mask("crm", "erp")]), [entry("crm"), entry("erp")]) is None
    assert first_unknown_server(policy(masks=[mask("crm")]), []) is None
