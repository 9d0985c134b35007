"""``python -m pixlate`` is ``pixlate``."""

import sys

from pixlate.cli import main

sys.exit(main())
