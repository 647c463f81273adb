"""`ostiary mask` shows what masks leave of a file."""

import json
from pathlib import Path

from command_line import Ostiary

POLICY = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: privacy, namespace: team-a}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  masks:
  - {name: cards, detect: [{kind: CardNumber}], action: ACTION}
"""


def policy(folder: Path, action: str) -> str:
    """A file with a policy whose mask has this action."""
    path = folder / "policy.yaml"
    path.write_text(POLICY.replace("ACTION", action))
    return str(path)


def test_every_kind_is_masked_in_a_text_without_a_policy(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Ada <ada@example.com> paid with 4111 1111 1111 1111\n")
    result = ostiary("mask", str(tmp_path / "notes.txt"))
    assert result.out == "Ada <[masked: Email]> paid with [masked: CardNumber]\n"
    assert "1 Email: Mask" in result.err
    assert result.code == 0


def test_every_kind_is_masked_in_what_goes_to_a_server_without_a_policy(ostiary: Ostiary, tmp_path: Path) -> None:
    params = {"name": "search", "arguments": {"query": "4111 1111 1111 1111"}}
    file = tmp_path / "call.json"
    file.write_text(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}))
    result = ostiary("mask", "--keep-last", "4", str(file))
    assert json.loads(result.out)["params"]["arguments"] == {"query": "**** **** **** 1111"}
    assert "1 CardNumber: Mask" in result.err


def test_masks_of_a_policy_apply_to_a_result(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(
        json.dumps({"content": [], "structuredContent": {"n": 4111111111111111, "e": "a@b.de"}})
    )
    result = ostiary("mask", "--policy", policy(tmp_path, "Mask"), str(tmp_path / "r.json"))
    assert json.loads(result.out)["structuredContent"] == {"n": "[masked: CardNumber]", "e": "a@b.de"}
    assert "(team-a/privacy/cards)" in result.err


def test_a_mask_that_blocks_is_exit_code_1(ostiary: Ostiary, tmp_path: Path) -> None:
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "t", "arguments": {"c": "4111111111111111"}},
    }
    (tmp_path / "call.json").write_text(json.dumps(call))
    result = ostiary("mask", "--policy", policy(tmp_path, "Block"), str(tmp_path / "call.json"))
    assert (result.code, result.out) == (1, "")
    assert "blocked" in result.err


def test_what_needs_keys_is_said_to_be_shown_as_mask(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("4111111111111111")
    result = ostiary("mask", "--policy", policy(tmp_path, "Tokenise"), str(tmp_path / "a.txt"))
    assert result.out == "[masked: CardNumber]\n"
    assert "only gateways have their keys" in result.err


def test_an_unusable_file_or_policy_is_exit_code_2(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    assert ostiary("mask", str(tmp_path / "missing")).code == 2
    assert ostiary("mask", "--policy", str(tmp_path / "missing"), str(tmp_path / "a.txt")).code == 2
    broken = ostiary("mask", "--policy", policy(tmp_path, "Shred"), str(tmp_path / "a.txt"))
    assert broken.code == 2
    assert "team-a/privacy" in broken.err
