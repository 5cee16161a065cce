"""What to type instead of ``python -m pipeline``."""

import sys

sys.exit("pipeline: type python -m pipeline.run (one run), python -m pipeline.run -m (a sweep), or with --help")
