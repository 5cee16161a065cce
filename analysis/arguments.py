"""The command lines of this package: options only, and mistakes in one line."""

import shlex
from difflib import get_close_matches
from typing import Any, NoReturn

from pipeline.system.command import OneLineParser


class OptionParser(OneLineParser):
    """Parses the options of a command, and tells what a word that is none may have been meant as."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        known, rest = self.parse_known_args(args, namespace)
        for unknown in rest:
            self._refuse(unknown)
        return known

    def _refuse(self, unknown: str) -> NoReturn:
        option, _, value = unknown.partition("=")
        options = [each for each in self._option_string_actions if each.startswith("--")]
        if unknown.startswith("-"):
            near = get_close_matches(option, options, 1)
            self.error(
                f"{option} is no option; {f'did you mean {near[0]}' if near else f'there are {shlex.join(options)}'}"
            )
        # Just the name of an experiment, or that as pipeline.run takes it.
        name = value if option in ("experiment", "experiment_name") else unknown
        self.error(f"expected options, got {shlex.quote(unknown)}; did you mean: {self.prog} {experiment_option(name)}")


def experiment_option(name: str) -> str:
    """The option that chooses an experiment, as it is typed in a shell.

    >>> experiment_option("rounding"), experiment_option("wide; nets"), experiment_option("-1")
    ('--experiment rounding', "--experiment 'wide; nets'", '--experiment=-1')
    """
    return f"--experiment{'=' if name.startswith('-') else ' '}{shlex.quote(name)}"
