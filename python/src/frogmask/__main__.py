"""Runs the program as `python -m frogmask`."""

import sys

from frogmask.cli import main

sys.exit(main())
