"""What holds for every test.

How much Hypothesis tries: `make test` judges every change by the same examples, `make fuzz` looks for new ones. And
that Ctrl-C reaches what a test starts: a run in the background (`nohup make test &`) begins with these signals ignored,
its children would inherit that, and `ostiary run` respects it. And that no test depends on whether `make` started it:
`ostiary run` then names a `make` command to type.
"""

import os
import signal

from hypothesis import HealthCheck, settings

for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)  # a handler is not inherited: children begin with the default

os.environ.pop("MAKELEVEL", None)

# No deadlines: several test processes share few cores, and a slow example is no failure.
settings.register_profile("ostiary", deadline=None, derandomize=True)
settings.register_profile(
    "fuzz", deadline=None, max_examples=300, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ostiary")
