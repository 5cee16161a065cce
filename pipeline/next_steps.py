"""What to do with a sweep that has ended: the commands that show it, for any store and from any folder."""

import shlex
from collections.abc import Mapping
from urllib.parse import urlsplit

from pipeline.addresses import WEB, ui_command


def next_steps(experiment_name: str, tracking_uri: str, links: Mapping[str, str]) -> str:
    """What to do with a sweep that has ended, in commands that can be pasted into a shell.

    Args:
        links: view -> link, as of ``Tracker.share_views``.
    """
    width = max(map(len, links), default=0)
    shown = [f"{view:{width}}  {link}" for view, link in links.items()]
    if urlsplit(tracking_uri).scheme not in WEB:  # A server shows itself.
        shown.insert(0, ui_command(tracking_uri))
    name = shlex.quote(experiment_name)
    option = f"--experiment={name}" if experiment_name.startswith("-") else f"--experiment {name}"
    return "\n".join(
        [
            f"Browse the runs{' (by these links: the first page of the UI is for GenAI)' if links else ''}:",
            *(f"  {line}" for line in shown),
            f"Draw the figures: python -m analysis.report {option}",
        ]
    )
