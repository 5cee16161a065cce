"""What to type instead of ``python -m analysis``."""

import sys

sys.exit("analysis: type python -m analysis.report (claims and figures) or python -m analysis.audit (checks a store)")
