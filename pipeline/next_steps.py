"""What to do with a sweep that has ended: the commands that show it, for any store and from any folder."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import make_url

from pipeline import names

VARIABLE = "MLFLOW_TRACKING_URI"


def next_steps(experiment_name: str, tracking_uri: str, links: Mapping[str, str]) -> str:
    """What to do with a sweep that has ended, in commands that can be pasted into a shell.

    Args:
        links: view -> link, as of ``Tracker.share_views``.
    """
    width = max(map(len, links), default=0)
    shown = [f"{view:{width}}  {link}" for view, link in links.items()]
    if (command := ui_command(tracking_uri)) is not None:
        shown.insert(0, command)
    name = shlex.quote(experiment_name)
    option = f"--experiment={name}" if experiment_name.startswith("-") else f"--experiment {name}"
    return "\n".join(
        [
            f"Browse the runs{' (by these links: the first page of the UI is for GenAI)' if links else ''}:",
            *(f"  {line}" for line in shown),
            f"Draw the figures: python -m analysis.report {option}",
        ]
    )


def ui_command(tracking_uri: str) -> str | None:
    """The shell command that shows a store in the MLflow UI, from any folder; None for a server, which has its own UI.

    A secret in the address is not printed. It is in the environment already.

    >>> ui_command("sqlite:////home/me/my lab/mlflow.db"), ui_command("https://runs.example.org")
    ("mlflow ui --backend-store-uri 'sqlite:////home/me/my lab/mlflow.db'", None)
    """
    if tracking_uri.startswith(("http:", "https:")):
        return None
    address = names.store_address(tracking_uri)
    if address.startswith("sqlite:") and (database := make_url(address).database):
        address = f"sqlite:///{Path(database).absolute()}"
    printed = shlex.quote(names.without_password(address))
    if names.without_password(address) != address and os.environ.get(VARIABLE) == tracking_uri:
        printed = f'"${VARIABLE}"'
    return f"mlflow ui --backend-store-uri {printed}"
