"""Open files: the limit of the system is used, and the connections that it allows are known."""

import resource
import subprocess
import sys

from ostiary_gateway import open_files

PROGRAM = """
import resource
from ostiary_gateway.open_files import raise_file_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
print(raise_file_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 1 << 20 if hard == resource.RLIM_INFINITY else min(hard, 1 << 20)
    output = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout
    assert [int(number) for number in output.split()] == [wanted, wanted]


def test_each_connection_is_given_two_files_and_the_process_some_of_its_own() -> None:
    assert open_files.connections_for(1024) == 448
    assert open_files.connections_for(20_000) == 9936
    assert open_files.connections_for(10) == 1
