"""A real browser for tests, which are skipped where there is none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def open_browser() -> Iterator[Any]:
    """The system's Chromium, or the one that playwright has installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs: pip install -e '.[browser]'")
    with playwright.sync_playwright() as started:
        own = started.chromium.executable_path
        found = next(filter(None, map(shutil.which, BROWSERS)), own if Path(own).exists() else None)
        if found is None:
            pytest.skip(f"needs a browser: one of {', '.join(BROWSERS)}, or playwright install chromium")
        opened = started.chromium.launch(executable_path=found)
        yield opened
        opened.close()
