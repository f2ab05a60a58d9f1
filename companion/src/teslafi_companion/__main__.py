"""`python -m teslafi_companion`, the same as `teslafi-companion`."""

import sys

from teslafi_companion.cli import main

sys.exit(main())
