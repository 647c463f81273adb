"""`python -m ostiary_operator.cli`, the same as `ostiary`."""

import sys

from ostiary_operator.cli import main

sys.exit(main())
