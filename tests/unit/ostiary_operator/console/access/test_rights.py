from ostiary_operator.console.access.rights import AllRights, Right


def test_a_right_is_named_as_rbac_writes_it() -> None:
    assert Right.PROXY.text == "get mcpproxies"
    assert Right.EVIDENCE.text == "get mcpproxies/evidence"


async def test_all_rights_are_rights_to_everything() -> None:
    rights = AllRights()
    assert await rights.may(Right.CALLS, namespace="sales", name="crm")
    assert await rights.visible(Right.PROXY, ["sales/crm", "tools/mock"]) == {"sales/crm", "tools/mock"}
