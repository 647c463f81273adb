"""The operator as processes of its own, with exactly the rights that the chart gives it.

with chart_rights(control_plane, world):                       # from here on the world's kubeconfig is the chart's
    async with operator_process(world, "one") as one:
        await one.says("standing by"); one.signal(signal.SIGSTOP); await one.ended()
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml
from charts import render
from operator_environment import OperatorEnvironment
from operator_objects import until

from ostiary_tools.cluster.control_plane import ControlPlane

_PROGRAM = """
import argparse, sys
from ostiary_operator.cli import operator as it
parser = argparse.ArgumentParser()
it.add_arguments(parser)
sys.exit(it.run(parser.parse_args()))
"""
_ANNOUNCED = re.compile(r"/metrics on \S+:(\d+)")
_ROLES = frozenset({"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})


def roles(system: str, *arguments: str) -> str:
    """The service accounts, roles and bindings that the chart makes for a release of its namespace's name."""
    objects = render(*arguments, release=system, namespace=system)
    return yaml.safe_dump_all([obj for obj in objects if obj["kind"] in _ROLES])


@contextlib.contextmanager
def chart_rights(
    control_plane: ControlPlane, world: OperatorEnvironment, *arguments: str
) -> Iterator[OperatorEnvironment]:
    """Give a world's operator the rights that the chart gives it, with these arguments of helm, and no more."""
    watched = () if world.wide else ("--set", f"watchNamespaces={{{world.team}}}")
    manifest = roles(world.system, *watched, *arguments)
    control_plane.kubectl("create", "-f", "-", input=manifest)
    world.kubeconfig = control_plane.kubeconfig_for_service_account(world.system, world.operator_name)
    try:
        yield world
    finally:
        control_plane.kubectl("delete", "-f", "-", input=manifest)


@dataclass
class OperatorProcess:
    """A running operator, and what it has written."""

    process: asyncio.subprocess.Process
    log_file: Path
    port: int = 0

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.log_file.read_text()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def readiness(self) -> str:
        """What its readiness probe sees; empty where it is refused or not answered."""
        timeout = aiohttp.ClientTimeout(total=1)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://127.0.0.1:{self.port}/readyz") as answer,
            ):
                return (await answer.text()).strip() if answer.status == 200 else ""
        except (aiohttp.ClientError, TimeoutError):
            return ""

    async def leads(self) -> bool:
        """Whether it is ready and does not stand by."""
        return await self.readiness() == "ok"

    async def stands_by(self) -> bool:
        """Whether it is ready and stands by."""
        return (await self.readiness()).startswith("standing by")

    async def ended(self, *, seconds: float = 10.0) -> int:
        """Wait for its end and return the exit code."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def operator_process(
    world: OperatorEnvironment, pod: str, *flags: str, kubeconfig: Path | None = None
) -> AsyncIterator[OperatorProcess]:
    """Run the operator of a world as a process, as this pod of its Deployment."""
    replicas = [f"--gateway-replicas={world.gateway}={','.join(world.replicas)}"] if world.replicas is not None else []
    watched = [] if world.wide else [f"--watch-namespace={world.team}"]
    named = [f"--operator-namespace={world.system}", f"--name={world.operator_name}"]
    arguments = [*named, *watched, *replicas, "--admin-address=127.0.0.1:0", *flags]
    environment = os.environ | {"KUBECONFIG": str(kubeconfig or world.kubeconfig), "POD_NAME": pod}
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _PROGRAM, *arguments, env=environment, stderr=output
            )
        operator = OperatorProcess(process, log)
        try:
            operator.port = int((await until(lambda: _ANNOUNCED.search(operator.log)))[1])
            yield operator
        except BaseException as error:
            error.add_note(operator.log)
            raise
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                await process.wait()
