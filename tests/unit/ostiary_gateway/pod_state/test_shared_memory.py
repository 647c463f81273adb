"""The memory that the supervisor makes for its workers."""

import os
from pathlib import Path

from ostiary_gateway.pod_state.shared_memory import BOUNDS, LIMITS, STDOUT, attach, create_shared_state


def test_every_worker_attaches_to_what_the_supervisor_made_and_no_other_process_can_name_it() -> None:
    shared = create_shared_state(workers=4)
    assert set(shared) == {LIMITS, BOUNDS, STDOUT}
    for name, file in shared.items():
        if name == STDOUT:
            continue
        table = attach(shared, name, workers=4)
        assert table.keys == 0
        assert "deleted" in str(Path(f"/proc/self/fd/{file}").readlink())
        assert not os.get_inheritable(file)


def test_unused_slots_take_no_memory() -> None:
    shared = create_shared_state(workers=8)
    for name in (LIMITS, BOUNDS):
        attach(shared, name, workers=8)
    assert all(os.fstat(file).st_blocks * 512 < 64 * 1024 for file in shared.values())
