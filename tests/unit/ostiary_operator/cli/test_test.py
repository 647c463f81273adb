import json
import re
from pathlib import Path

from command_line import Ostiary

GUIDE = Path(__file__).parents[4] / "docs" / "guides" / "decisions.md"

POLICY = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: reading, namespace: team-a}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  access:
    rules:
    - {name: read, effect: Allow, tools: {names: ["read_*"]}}
"""

PASSING = """\
  tests:
  - {name: anyone reads, call: {tool: read_ticket}, expect: Allow, rule: read}
"""

FAILING = """\
  - {call: {tool: delete_ticket}, expect: Allow}
"""


def policies(folder: Path, text: str) -> str:
    path = folder / "policies.yaml"
    path.write_text(text)
    return str(path)


def test_tests_that_pass_are_listed_with_the_deciding_rule(ostiary: Ostiary, tmp_path: Path) -> None:
    result = ostiary("test", policies(tmp_path, POLICY + PASSING))
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "MCPPolicy team-a/reading\n"
        "  pass  spec.tests[0] (anyone reads): Allow: rule read allows it\n"
        "1 test in 1 policy: all passed\n"
    )


def test_a_test_that_fails_is_shown_with_its_place_and_fails_the_command(ostiary: Ostiary, tmp_path: Path) -> None:
    path = policies(tmp_path, POLICY + PASSING + FAILING)
    result = ostiary("test", path)
    assert (result.code, result.err) == (1, "")
    assert result.out.endswith(
        "  FAIL  spec.tests[1]: expected Allow, but the decision is Deny: no rule allows it\n"
        f"        {path}:11:5\n"
        "2 tests in 1 policy: 1 failed\n"
    )


def test_results_are_objects_for_programs(ostiary: Ostiary, tmp_path: Path) -> None:
    path = policies(tmp_path, POLICY + PASSING + FAILING)
    result = ostiary("test", "-o", "json", path)
    assert result.code == 1
    assert json.loads(result.out)[1] == {
        "file": path,
        "line": 11,
        "column": 5,
        "namespace": "team-a",
        "policy": "reading",
        "field": "spec.tests[1]",
        "name": None,
        "passed": False,
        "expected": "Allow",
        "expectedRule": None,
        "decision": "Deny",
        "rule": None,
        "reason": "NotAllowed",
        "cause": "no rule allows it",
    }


def test_an_invalid_policy_fails_the_command_since_its_tests_cannot_run(ostiary: Ostiary, tmp_path: Path) -> None:
    result = ostiary("test", policies(tmp_path, POLICY.replace("Allow", "allow") + PASSING))
    assert result.code == 1
    assert "spec.access.rules[0].effect: is not one of the allowed values. Use Allow or Deny." in result.err


def test_files_without_tests_are_reported(ostiary: Ostiary, tmp_path: Path) -> None:
    result = ostiary("test", policies(tmp_path, POLICY))
    assert result == (0, "no tests: no MCPPolicy here has spec.tests\n", "")


def test_a_path_that_does_not_exist_is_wrong_usage(ostiary: Ostiary, tmp_path: Path) -> None:
    result = ostiary("test", str(tmp_path / "missing"))
    assert result.code == 2
    assert result.err.startswith("ostiary test: ")


def test_the_tests_of_the_guide_pass(ostiary: Ostiary, tmp_path: Path) -> None:
    example, contents, _source = re.findall(r"^```yaml\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    result = ostiary("test", policies(tmp_path, example))
    assert result.out.endswith("5 tests in 1 policy: all passed\n")

    result = ostiary("test", policies(tmp_path, POLICY.partition("  access:")[0] + contents))
    assert result.out.endswith("1 test in 1 policy: all passed\n")
