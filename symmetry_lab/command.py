"""The console command: ``symmetry-lab run -m`` is ``python -m pipeline.run -m``, and so on.

Its words are those of the ``main`` that it calls; see ``COMMANDS``.
"""

import sys
from difflib import get_close_matches
from importlib import import_module

from pipeline import __version__
from pipeline.system.command import run_command

COMMANDS = {
    "run": ("pipeline.run", "trains and tracks one run, or a sweep with -m"),
    "report": ("analysis.report", "claims, figures and a page from the tracked runs"),
    "audit": ("analysis.audit", "whether the store holds what its sweeps should have left there"),
    "relocate": ("pipeline.relocate", "mends a store that was moved or copied"),
}
"""Word -> module whose ``main`` it calls, and what that does."""


def main() -> None:
    """Calls the command that the first argument names, with the others."""
    name, arguments = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
    if name in ("-h", "--help"):
        print("\n".join([f"symmetry-lab {word:9} {meaning}" for word, (_, meaning) in COMMANDS.items()]))
    elif name == "--version":
        print(f"symmetry-lab {__version__}")
    elif name in COMMANDS:
        sys.argv[1:] = arguments
        run_command(import_module(COMMANDS[name][0]).main)
    else:
        near = get_close_matches(name, COMMANDS, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        sys.exit(f"symmetry-lab: expected one of {', '.join(COMMANDS)}, got {name!r}{hint}")
