"""`python -m ostiary_operator.demo.mock_server`, the same as `ostiary mock-server`."""

import sys

from ostiary_operator.demo.command import main

sys.exit(main())
