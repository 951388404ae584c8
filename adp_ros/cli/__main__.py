"""``python -m adp_ros.cli`` is ``adp-ros``."""

import sys

from . import main

sys.exit(main())
