"""The name that was meant: found among many, and never dear."""

import random
import time

import pytest

from ostiary_core.closest_name import Nearest
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.unmatched_names import COMPARED, ExactName, find


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("delete_usr", "delete_user"),
        ("deleteuser", "delete_user"),
        ("delet_users", "delete_user"),
        ("crm", "crm2"),
        ("echo", ""),
        ("", ""),
        ("x", ""),
    ],
)
def test_a_misspelt_name_is_similar_to_the_right_one_and_another_name_is_not(wrong: str, meant: str) -> None:
    assert Nearest(["delete_user", "create_user", "crm2", "list_issues"]).to(wrong) == meant


def test_of_several_that_are_alike_the_first_by_name_is_meant() -> None:
    assert Nearest(["crm3", "crm2"]).to("crm1") == "crm2"


def shuffled(letters: str, seed: int) -> str:
    found = list(letters)
    random.Random(seed).shuffle(found)  # noqa: S311  no secret
    return "".join(found)


@pytest.mark.parametrize("letters", ["ab" * 64, "abcdefgh" * 16, "a" * 127 + "b"])
def test_names_that_a_server_chose_to_be_costly_are_compared_as_fast_as_any(letters: str) -> None:
    def cost(letters: str) -> float:
        offered = {shuffled(letters, seed) + str(seed) for seed in range(COMPARED)}
        rules = [ExactName("a/p", "r", Primitive.TOOLS, shuffled(letters, -seed - 1)) for seed in range(16)]
        began = time.process_time()
        assert len(find(rules, {Primitive.TOOLS: offered})) == 16
        return time.process_time() - began

    plain = "".join(chr(0x4E00 + number) for number in range(128))
    assert min(cost(letters) for _ in range(3)) < 5 * max(cost(plain) for _ in range(3))
