import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import Ostiary

CASES = Path(__file__).parent / "cases"

PROXY = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: %s}
spec:
  servers: [{name: crm, url: "http://crm.tools:8080/mcp"}]
"""

POLICY = """\
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: all}
spec: {targetSelector: {}}
"""


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_each_fault_is_reported_with_its_place_and_its_remedy(
    case: str, ostiary: Ostiary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES / case)
    answer = ostiary("validate", "in.yaml")
    text = f"{answer.err}{answer.out}exit code {answer.code}\n"
    assert text == Path("out.txt").read_text()


def test_files_without_a_fault_are_fine(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(PROXY % "a" + POLICY)
    assert ostiary("validate", str(tmp_path)) == (0, "2 objects: no problems\n", "")


def test_a_proxy_that_no_policy_governs_is_warned_of(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(PROXY % "a")
    answer = ostiary("validate", str(tmp_path))
    words = "warning: MCPProxy default/a: no policy governs it: every caller may use everything (withoutPolicy: Allow)"
    assert f"a.yaml:1:1: {words}. Apply an MCPPolicy that targets it.\n1 object: 1 warning\n" in answer.out
    assert answer.code == 0


def test_a_folder_is_searched_for_yaml_and_yml_but_not_in_hidden_places(ostiary: Ostiary, tmp_path: Path) -> None:
    for name in ("a.yaml", "below/b.yml", "below/deeper/c.yaml", ".git/d.yaml", "below/.e.yaml", "f.json", "g.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not: an object")
    output = ostiary("validate", str(tmp_path)).out
    assert [line.split(":")[0] for line in output.splitlines()[:-1]] == [
        str(tmp_path / name) for name in ("a.yaml", "below/b.yml", "below/deeper/c.yaml")
    ]


def test_standard_input_is_validated_together_with_the_files_given(
    ostiary: Ostiary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text(PROXY % "a")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((PROXY % "a").encode())))
    answer = ostiary("validate", str(tmp_path / "a.yaml"), "-")
    assert answer.out.startswith(f"<stdin>:1:1: MCPProxy default/a: is defined twice, first at {tmp_path}/a.yaml:1:1.")


def test_faults_are_objects_for_programs(ostiary: Ostiary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / "an-effect-is-in-lower-case")
    answer = ostiary("validate", "-o", "json", "in.yaml")
    assert (answer.code, answer.err) == (1, "")
    assert json.loads(answer.out) == [
        {
            "severity": "error",
            "file": "in.yaml",
            "line": 9,
            "column": 7,
            "kind": "MCPPolicy",
            "namespace": "default",
            "name": "p",
            "field": "spec.access.rules[0].effect",
            "message": "is not one of the allowed values",
            "remedy": "use Allow or Deny",
        }
    ]


def test_no_fault_is_an_empty_array(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(PROXY % "a" + POLICY)
    assert json.loads(ostiary("validate", "-o", "json", str(tmp_path)).out) == []


def test_a_warning_fails_only_when_it_is_asked_to(ostiary: Ostiary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / "a-policy-targets-what-is-not-there")
    assert ostiary("validate", "in.yaml").code == 0
    assert ostiary("validate", "--strict", "in.yaml").code == 1


def test_objects_without_a_namespace_are_put_into_the_one_that_is_named(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: ostiary.dev/v1alpha1\nkind: MCPProxy\nmetadata: {name: a}\nspec: {}")
    assert "MCPProxy tools/a: spec.servers" in ostiary("validate", "-n", "tools", str(tmp_path)).out


def test_the_platforms_policies_are_those_of_the_operators_namespace(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: ostiary.dev/v1alpha1\nkind: MCPPolicy\nmetadata: {namespace: platform, name: p}\n"
        "spec: {targetSelector: {namespaceSelector: {}}}"
    )
    assert ostiary("validate", str(tmp_path)).code == 1
    assert ostiary("validate", "--operator-namespace", "platform", str(tmp_path)).code == 0


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere", "there is no such file or folder"),
        ("empty", "there is no YAML file in this folder (*.yaml or *.yml)"),
    ],
)
def test_a_path_that_leads_nowhere_is_wrong_usage(path: str, words: str, ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    answer = ostiary("validate", str(tmp_path / path))
    assert answer == (2, "", f"ostiary validate: {tmp_path / path}: {words}\n")


def test_a_file_without_read_permission_is_reported(
    ostiary: Ostiary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.yaml"
    path.mkdir()  # a folder of this name cannot be opened by any user; rights do not stop root
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    answer = ostiary("validate", str(path))
    assert (answer.code, answer.err) == (2, f"ostiary validate: {path}: it cannot be read: Is a directory\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("kind: x".encode("utf-16"), "Is not UTF-8 text. Save it as UTF-8."),
        (b"#" * (8 * 1024 * 1024 + 1), "Is larger than 8 MiB. Split it."),
    ],
)
def test_a_file_that_is_not_utf_8_is_a_fault(content: bytes, words: str, ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    answer = ostiary("validate", str(tmp_path))
    assert (answer.code, answer.out.splitlines()[0]) == (1, f"{tmp_path}/a.yaml: {words}")


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + (PROXY % "a").replace("\n", "\r\n").encode())
    assert ostiary("validate", str(tmp_path)).code == 0


def test_an_error_about_a_url_does_not_contain_the_url(ostiary: Ostiary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / "a-url-carries-a-password")
    answer = ostiary("validate", "in.yaml")
    assert "user information" in answer.out
    assert "hunter2" not in answer.out + answer.err


def test_settings_in_the_files_apply_to_the_implied_gateway(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  namespace: ostiary-system\n  name: s\n"
        "  labels: {ostiary.dev/gateway: default, ostiary.dev/usage: settings}\n"
        "data: {settings.yaml: 'tenancy: Multi'}"
    )
    (tmp_path / "proxy.yaml").write_text(PROXY % "a")
    assert "does not grant" in ostiary("validate", str(tmp_path)).out


def test_a_proxy_may_name_a_gateway_whose_service_is_in_the_files(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        (PROXY % "a") + "  gateways: [{name: edge}]\n---\napiVersion: v1\nkind: Service\n"
        "metadata: {namespace: ostiary-system, name: e, labels: {ostiary.dev/gateway: edge}}\n" + POLICY
    )
    assert ostiary("validate", "--strict", str(tmp_path)).code == 0
