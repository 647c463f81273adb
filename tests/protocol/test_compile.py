"""`ostiary compile` and `ostiary gateway` as users of virtual machines start them: commands, a folder, SDK clients."""

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mcp_caller import legacy, mcp_caller
from mcp_clients import Era, connect, eventually
from ready_gateway import readiness

from ostiary_tools.common.ports import reserve_port

EXAMPLES = Path(__file__).parents[2] / "examples"
OSTIARY = (sys.executable, "-m", "ostiary_operator.cli")


def compiled(objects: Path, out: Path) -> tuple[int, str]:
    """Run the command once; return its exit code and what it said."""
    command = [*OSTIARY, "compile", str(objects), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def objects(mock: str, tmp_path: Path) -> Path:
    """The objects of the quickstart, in front of the mock server of the tests."""
    folder = Path(shutil.copytree(EXAMPLES / "quickstart", tmp_path / "objects"))
    edit(folder / "mcpproxy.yaml", "http://localhost:7878/mcp", mock)
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


class Serving:
    """A gateway process."""

    def __init__(self, port: int, admin_port: int) -> None:
        self.port = port
        self.admin_port = admin_port

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/mock-mcp-server/mcp"

    async def tools(self, era: Era = "modern") -> set[str]:
        async with connect(self.url, era=era) as client:
            return {tool.name for tool in (await client.list_tools()).tools}


@contextmanager
def serving(out: Path) -> Iterator[Serving]:
    """Run a gateway on the folder; it must end well when it is asked to."""
    gateway = Serving(reserve_port(), reserve_port())
    ports = ["--port", str(gateway.port), "--admin-port", str(gateway.admin_port)]
    process = subprocess.Popen([*OSTIARY, "gateway", "--config", str(out), *ports], stderr=subprocess.DEVNULL)
    try:
        yield gateway
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()


async def ready(gateway: Serving) -> None:
    async def is_ready() -> bool:
        try:
            return await readiness(gateway) == 200
        except OSError:
            return False

    await eventually(is_ready, seconds=30)


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_gateway_serves_what_was_compiled_and_takes_over_what_is_compiled_again(
    objects: Path, tmp_path: Path, era: Era
) -> None:
    out = tmp_path / "out"
    code, output = await asyncio.to_thread(compiled, objects, out)
    assert (code, "MCPProxies: 1" in output) == (0, True), output
    with serving(out) as gateway:
        await ready(gateway)
        before = await gateway.tools(era)
        assert "delete_user" in before
        await asyncio.to_thread(edit, objects / "mcppolicy.yaml", "verbs: [Call]", "verbs: [Call, List]")
        assert (await asyncio.to_thread(compiled, objects, out))[0] == 0

        async def hidden() -> bool:
            return await gateway.tools(era) == before - {"delete_user"}

        await eventually(hidden, seconds=30)


async def test_broken_files_leave_the_folder_as_it_was(objects: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (await asyncio.to_thread(compiled, objects, out))[0] == 0
    before = snapshot(out)
    await asyncio.to_thread(edit, objects / "mcppolicy.yaml", "effect: Deny", "effect: Perhaps")
    code, output = await asyncio.to_thread(compiled, objects, out)
    assert code == 1
    assert "mcppolicy.yaml:" in output
    assert "is unchanged" in output
    assert snapshot(out) == before


def snapshot(out: Path) -> dict[str, bytes]:
    return {str(each.relative_to(out)): each.read_bytes() for each in out.rglob("*") if each.is_file()}


async def test_keys_are_kept_so_that_neither_an_edit_nor_a_restart_ends_a_session(
    objects: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    await asyncio.to_thread(compiled, objects, out)
    with serving(out) as gateway:
        await ready(gateway)
        async with mcp_caller(gateway.url) as caller:
            await caller.initialize()
            session = caller.session
    await asyncio.to_thread(edit, objects / "mcppolicy.yaml", "delete_user", "create_user")
    await asyncio.to_thread(compiled, objects, out)
    with serving(out) as gateway:
        await ready(gateway)
        async with mcp_caller(gateway.url) as caller:
            caller.session = session
            assert (await caller.post(legacy("tools/list"))).status == 200


@contextmanager
def watching(objects: Path, out: Path) -> Iterator[list[str]]:
    """Compile on every change; hold what was said once it was asked to end, which it must do well."""
    command = [*OSTIARY, "compile", str(objects), "--out", str(out), "--watch"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output: list[str] = []
    try:
        yield output
    finally:
        process.send_signal(signal.SIGTERM)
        output.append(process.communicate(timeout=30)[0])
    assert process.returncode == 0, output


async def test_with_watch_a_saved_file_is_in_force(objects: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with watching(objects, out) as output:
        await eventually((out / "manifest.json").exists, seconds=30)
        with serving(out) as gateway:
            await ready(gateway)
            before = await gateway.tools()
            await asyncio.to_thread(edit, objects / "mcppolicy.yaml", "verbs: [Call]", "verbs: [Call, List]")

            async def hidden() -> bool:
                return await gateway.tools() == before - {"delete_user"}

            await eventually(hidden, seconds=30)
    assert output[0].endswith("ended\n")
