import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Ostiary

from ostiary_core.version import __version__
from ostiary_operator.cli.commands import COMMANDS, OPTIONAL_PACKAGES

EXAMPLES = Path(__file__).parents[4] / "examples"
#: Runs `ostiary` as if the extras were not installed.
_WITHOUT_EXTRAS = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {set(OPTIONAL_PACKAGES)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from ostiary_operator.cli import main
sys.exit(main(sys.argv[1:]))
"""


def without_extras(*arguments: str, code: str = _WITHOUT_EXTRAS) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def test_the_version_is_printed(ostiary: Ostiary) -> None:
    assert ostiary("--version") == (0, f"ostiary {__version__}\n", "")


def test_help_names_every_command(ostiary: Ostiary) -> None:
    answer = ostiary("--help")
    assert answer.code == 0
    for command in COMMANDS:
        assert command.summary in " ".join(answer.out.split())


def test_without_arguments_the_help_is_printed_as_a_usage_error(ostiary: Ostiary) -> None:
    answer = ostiary()
    assert (answer.code, answer.out) == (2, "")
    assert "start here:" in answer.err


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_help_of_a_command_shows_examples_and_needs_no_extra(name: str) -> None:
    result = without_extras(name, "--help")
    assert result.returncode == 0, result.stderr
    assert "examples:\n  # " in result.stdout
    assert f"\n  ostiary {name}" in result.stdout


def test_help_loads_neither_pydantic_nor_any_extra() -> None:
    code = f"""
import sys
from ostiary_operator.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
loaded = {{name.partition(".")[0] for name in sys.modules}}
sys.exit(sorted(loaded & set({[*OPTIONAL_PACKAGES, "pydantic"]!r})) or 0)
"""
    result = without_extras(code=code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["doctor"], ["key", "create", "agent"], ["crds"]])
def test_a_command_that_judges_no_policy_does_not_load_the_cel_engine(arguments: list[str], tmp_path: Path) -> None:
    code = """
import sys
from ostiary_operator.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
sys.exit("cel_expr_python" in sys.modules)
"""
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "none")}
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_a_run_on_this_machine_loads_no_library_for_clusters() -> None:
    modules = "ostiary_operator.local.runner, ostiary_operator.console.run_console"
    code = f"import sys, {modules}; sys.exit(sorted({{'kubernetes', 'kopf'}} & set(sys.modules)) or 0)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("arguments", "extras"),
    [
        (["gateway", "--config", "/"], "gateway"),
        (["run", str(Path(__file__).parents[4] / "examples" / "quickstart")], "gateway,console,demo"),
        (["operator", "--operator-namespace", "o"], "operator"),
        (["mock-server"], "demo"),
    ],
)
def test_a_missing_extra_is_named_with_its_remedy(arguments: list[str], extras: str) -> None:
    result = without_extras(*arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"pip install '.[{extras}]'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments", [["crds"], ["validate", str(Path(__file__).parents[4] / "examples" / "quickstart")]]
)
def test_what_needs_no_extra_works_without_them(arguments: list[str]) -> None:
    result = without_extras(*arguments)
    assert result.returncode == 0, result.stderr


def test_an_unknown_command_is_wrong_usage(ostiary: Ostiary) -> None:
    answer = ostiary("validat")
    assert answer.code == 2
    assert "invalid choice: 'validat'" in answer.err


def test_a_closed_pipe_prints_no_traceback() -> None:
    command = f"{sys.executable} -c 'from ostiary_operator.cli import main; import sys; sys.exit(main([\"crds\"]))'"
    result = subprocess.run(["/bin/sh", "-c", f"{command} | head -n 1"], capture_output=True, text=True, check=False)
    assert result.stdout.startswith("# Generated")
    assert result.stderr == ""
