"""``python -m polyasr``: the command line."""

import sys

from polyasr.cli import main

sys.exit(main())
