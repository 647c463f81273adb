"""``make simulate``: simulate a fleet, print the page, keep the figures; ``--write-docs`` writes docs/scaling.md.

It needs about 15 minutes, and 2 GiB of memory for the largest fleet; the page says how long it took. ``--proxies``
with ``--gateways`` compiles one fleet of that size, and only prints what it costs.
"""

import argparse
import datetime as dt
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ostiary_bench import report, scale_gateway, streams
from ostiary_bench.simulation import (
    api_server_load,
    config_fanout,
    lease_traffic,
    page,
    process_memory,
    store_capacity,
    store_sessions,
)
from ostiary_bench.simulation.fleet import Fleet
from ostiary_tools.common.errors import ToolError

_ROOT: Final = Path(__file__).parents[3]
_RESULTS: Final = _ROOT / "benchmarks" / "results" / "scaling.json"
_SIZES: Final = (100, 1_000, 2_000, 5_000, 10_000)
_FLEET: Final = Fleet(10_000, 100)
_LOADS: Final = (100, 1_000, 5_000, 10_000)
_STREAMS: Final = (1_000, 5_000, 10_000)
_REPLICAS: Final = (1, 10, 100)
_RATES: Final = (0.1, 1.0, 10.0, 100.0, 1000.0)
#: Processor time of a message to the store where no Redis is installed, in µs: what one took on a machine of 2026.
_USUAL_STORE: Final = 60.0
_PARTS: Final = ("configs", "gateways", "policies", "callers", "workers", "streams", "leases", "sessions", "watches")


def main() -> int:
    """Simulate; return the exit code."""
    options = _options()
    if options.proxies is not None:
        return _one_fleet(Fleet(options.proxies, options.gateways))
    found: dict[str, Any] = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
    try:
        for name in options.only or _PARTS:
            print(f"{name}:", file=sys.stderr, flush=True)
            began = time.monotonic()
            found.update(_measured(name))
            found["seconds"] = {**found.get("seconds", {}), name: time.monotonic() - began}
            found |= {"at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "machine": report.machine()}
            _RESULTS.parent.mkdir(exist_ok=True)
            _RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    except (ToolError, TimeoutError, OSError) as error:
        sys.stderr.write(f"make simulate: {str(error) or type(error).__name__}\n")
        return 1
    if missing := [name for name in _PARTS if name not in found]:
        print(f"The whole page needs {', '.join(missing)} too.", file=sys.stderr)
        for name in set(options.only or ()).intersection(page.PARTS) if options.write_docs else ():
            page.write_part(name, found[name], _ROOT / "docs")
        return 0
    print(page.text(found))
    if options.write_docs:
        page.write(found, _ROOT / "docs")
    return 0


def _one_fleet(fleet: Fleet) -> int:
    try:
        print(page.config_table(_documents([config_fanout.measure(fleet)])))
    except ToolError as error:
        sys.stderr.write(f"make simulate: {error}\n")
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make simulate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=_PARTS, action="append", help="measure this part only")
    parser.add_argument("--write-docs", action="store_true", help="also write docs/scaling.md, or parts of it")
    parser.add_argument("--proxies", type=_positive, metavar="N", help="only compile a fleet of so many MCPProxies")
    parser.add_argument("--gateways", type=_positive, metavar="N", default=1, help="at so many gateways (default 1)")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def _measured(name: str) -> dict[str, Any]:
    if name == "configs":
        fleets = [*(Fleet(size, 1) for size in _SIZES), _FLEET]
        return {"configs": _documents(map(config_fanout.measure, fleets))}
    if name == "gateways":
        return {"gateways": _documents(map(scale_gateway.measure, _LOADS))}
    if name == "streams":
        return {"streams": _documents(map(streams.measure, _STREAMS))}
    if name in _OF_PROCESSES:
        return {name: _documents(_OF_PROCESSES[name]())}
    leases = [lease_traffic.measure(replicas, rate) for rate in _RATES for replicas in _REPLICAS]
    return {"leases": _documents(leases), "store_microseconds": store_capacity.measure() or _USUAL_STORE}


#: The memory of one gateway, and of a store, by the number of something.
_OF_PROCESSES: Final[Mapping[str, Callable[[], Iterable[Any]]]] = {
    "policies": process_memory.by_policies,
    "callers": process_memory.by_callers,
    "workers": process_memory.by_workers,
    "sessions": store_sessions.measure,
    "watches": api_server_load.measure,
}


def _documents(found: Iterable[Any]) -> list[dict[str, Any]]:
    return [asdict(each) for each in found]


if __name__ == "__main__":
    raise SystemExit(main())
