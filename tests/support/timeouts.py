"""How long a test waits for a condition.

Long: a machine may be busy, and a condition that holds is seen at once. A test that fails because time ran out has
measured the machine. Where it matters that something is quick, the test makes the slow alternative take far longer
still, and checks which of the two happened.
"""

from typing import Final

#: Whatever takes a moment on an idle machine has happened within this time on a busy one, in seconds.
TIMEOUT_SECONDS: Final = 60.0
