"""``python -m posefix`` is the command ``posefix``."""

from __future__ import annotations

import sys

from posefix.cli.app import main

if __name__ == "__main__":  # spawned worker processes import this module and must not run the command again
    sys.exit(main())
