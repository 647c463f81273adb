"""How long a test waits for what must happen.

Long: a machine may be busy with many other things, and what holds is seen at once. A test that fails for want of time
has measured the machine. Where it matters that something is quick, the test lets the other way take far longer still,
and looks which of the two happened.
"""

from typing import Final

#: Seconds within which whatever takes a moment on an idle machine has happened on a busy one.
PATIENCE: Final = 60.0
