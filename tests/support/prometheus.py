"""A real Prometheus (Debian's package) that scrapes ports of loopback, and answers PromQL.

async with prometheus({"gateway": gateway.app.admin_port}) as server:
    await server.until('up{job="gateway"} == 1')
    assert await server.value("sum(ostiary_config_proxies)") == 1
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.common.ports import reserve_port
from ostiary_tools.toolchain import debian


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server; ``url`` is that of its API."""

    url: str

    async def query(self, promql: str) -> list[dict[str, Any]]:
        """The result of an instant query: a list of samples, each with ``metric`` and ``value``."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.url}/api/v1/query", params={"query": promql}) as response,
        ):
            body = await response.json()
        assert body["status"] == "success", body
        found: list[dict[str, Any]] = body["data"]["result"]
        return found

    async def value(self, promql: str) -> float:
        """The value of a query with one result, once it has one: a scrape that takes too long hides all series."""
        (sample,) = await self.until(promql)
        return float(sample["value"][1])

    async def until(self, promql: str) -> list[dict[str, Any]]:
        """Wait until a query has a result, and return it."""
        async with asyncio.timeout(2 * TIMEOUT_SECONDS):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    if found := await self.query(promql):
                        return found
                await asyncio.sleep(0.2)

    async def alerts(self) -> dict[str, str]:
        """The summaries of the alerts that fire, by their names."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/api/v1/alerts") as response:
            body = await response.json()
        firing = [each for each in body["data"]["alerts"] if each["state"] == "firing"]
        return {each["labels"]["alertname"]: each["annotations"]["summary"] for each in firing}

    async def exemplars(self, promql: str) -> list[dict[str, Any]]:
        """The exemplars of a query's series since the server started."""
        params = {"query": promql, "start": "0", "end": "99999999999"}
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.url}/api/v1/query_exemplars", params=params) as response,
        ):
            body = await response.json()
        return [exemplar for series in body["data"] for exemplar in series["exemplars"]]


def configure(directory: Path, targets: Mapping[str, int], rules: str = "", interval: str = "3s") -> None:
    """Write the server's config."""
    jobs = [{"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in targets.items()]
    every = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
    config = {"global": every, "scrape_configs": jobs, "rule_files": [f"{directory}/rules.yml"]}
    (directory / "rules.yml").write_text(rules)
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))


@contextlib.asynccontextmanager
async def prometheus(targets: Mapping[str, int], *, rules: str = "", every: str = "3s") -> AsyncIterator[Prometheus]:
    """A server that scrapes these ports, by the name of their job, and evaluates these rules, every three seconds."""
    program = debian.ensure("prometheus")["prometheus"]
    with tempfile.TemporaryDirectory() as directory:
        configure(Path(directory), targets, rules, every)
        port = reserve_port()
        process = await asyncio.create_subprocess_exec(
            str(program),
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            await process.wait()
