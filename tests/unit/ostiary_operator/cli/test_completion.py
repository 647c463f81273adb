import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from command_line import Ostiary
from shell_terminal import ShellTerminal
from table_server import TableServer, table_server

from ostiary_operator.cli.complete import TIMEOUT_VARIABLE
from ostiary_operator.cli.completion import SHELLS, script
from ostiary_tools.toolchain import debian

PROXIES = "/apis/ostiary.dev/v1alpha1/namespaces/sales/mcpproxies"
COLUMNS = "https://mcp.example.com/sales/crm-tickets/mcp"
Terminal = Callable[[str], ShellTerminal]


@pytest.fixture
def api() -> Iterator[TableServer]:
    with table_server() as server:
        server.tables[PROXIES] = [{"name": "crm-tickets", "URL": COLUMNS}, {"name": "crm-orders", "URL": None}]
        yield server


@pytest.fixture
def terminal(api: TableServer, tmp_path: Path) -> Iterator[Terminal]:
    """Starts a shell with the script of `ostiary completion`, in a folder with two files."""
    folder = tmp_path / "folder"
    (folder / "proxies").mkdir(parents=True)
    (folder / "my-policy.yaml").write_text("")
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {
        "PATH": programs,
        "HOME": str(tmp_path),
        "TERM": "xterm",
        "KUBECONFIG": str(api.kubeconfig(tmp_path)),
        TIMEOUT_VARIABLE: "100000",
    }
    with ExitStack() as stack:

        def start(shell: str) -> ShellTerminal:
            (tmp_path / "script").write_text(script(shell))
            os.chdir(folder)
            return stack.enter_context(_started(shell, environment, tmp_path / "script"))

        before = Path.cwd()
        yield start
        os.chdir(before)


def _started(shell: str, environment: dict[str, str], file: Path) -> ShellTerminal:
    program = str(debian.ensure(shell)[shell]) if shell != "bash" else "bash"
    quiet = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    ready = {
        "bash": "PS1='rea''dy> '; bind 'set show-all-if-ambiguous on'; bind 'set enable-bracketed-paste off'",
        "zsh": "PS1='rea''dy> '; autoload -U compinit; compinit -u",
        "fish": "function fish_prompt; echo -n rea'dy> '; end",
    }[shell]
    started = ShellTerminal([program, *quiet, "-i"], environment)
    started.types(f"{ready}; source {file}\n")
    started.shows("ready> ")
    return started


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_commands_options_values_and_names(terminal: Terminal, shell: str) -> None:
    screen = terminal(shell)
    for line, shown in (
        ("ostiary vali", "validate "),
        ("ostiary get --no-h", "--no-headers "),
        ("ostiary get -o wi", "wide "),
        ("ostiary get --output=wi", "--output=wide "),
        ("ostiary logs crm-t", "crm-tickets "),
        ("ostiary logs sales/crm-t", "sales/crm-tickets "),
    ):
        screen.types(f"{line}\t")
        screen.shows(shown)
        screen.types("\x15")  # deletes the line


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_lists_several_names_and_completes_files_where_a_file_is_due(terminal: Terminal, shell: str) -> None:
    screen = terminal(shell)
    screen.types("ostiary logs crm-\t\t")
    screen.shows("crm-tickets", "crm-orders")
    screen.types("\x15")
    screen.types("ostiary validate my-\t")
    screen.shows("my-policy.yaml")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_shells_that_show_descriptions_show_the_state_of_an_mcpproxy(terminal: Terminal, shell: str) -> None:
    screen = terminal(shell)
    screen.types("ostiary logs crm-\t\t")
    screen.shows(COLUMNS[:30])


def test_bash_completes_a_context_with_colons(terminal: Terminal, api: TableServer, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(file.read_text().replace('"here"', '"arn:aws:eks:eu-west-1:1:cluster/crm"'))
    screen = terminal("bash")
    screen.types("ostiary get --context arn:aws:e\t")
    screen.shows("--context arn:aws:eks:eu-west-1:1:cluster/crm")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed_and_says_where_it_belongs(ostiary: Ostiary, shell: str) -> None:
    answer = ostiary("completion", shell)
    assert (answer.code, answer.err) == (0, "")
    assert f"ostiary completion {shell}" in answer.out


def test_bash_executes_nothing_that_stands_on_the_line(terminal: Terminal, tmp_path: Path) -> None:
    screen = terminal("bash")
    screen.types(f"ostiary get $(touch${{IFS}}{tmp_path}/touched) -o wi\t")
    screen.shows("wide ")
    assert not (tmp_path / "touched").exists()


def test_a_shell_that_is_not_known_is_wrong_usage() -> None:
    command = [sys.executable, "-m", "ostiary_operator.cli", "completion", "tcsh"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "choose from" in result.stderr
