"""The console command calls what ``python -m`` calls."""

import sys
import tomllib
from importlib import import_module
from typing import Any

import pytest

from symmetry_lab import command
from tests.support.command_line import PROJECT


def test_the_package_installs_it() -> None:
    scripts = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, function = scripts["symmetry-lab"].partition(":")
    assert getattr(import_module(module), function) is command.main


@pytest.mark.parametrize("word", command.COMMANDS)
def test_a_word_calls_the_main_of_its_module_with_the_other_arguments(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Any] = []
    monkeypatch.setattr(command, "run_command", lambda body: called.append((body, sys.argv[1:])))
    monkeypatch.setattr(sys, "argv", ["symmetry-lab", word, "-m", "seed=1"])
    command.main()
    assert called == [(import_module(command.COMMANDS[word][0]).main, ["-m", "seed=1"])]


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_it_says_what_there_is(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["symmetry-lab", *arguments])
    command.main()
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [*command.COMMANDS]


@pytest.mark.parametrize(("word", "hint"), [("reprot", " (did you mean report?)"), ("seed=1", "")])
def test_a_wrong_word_is_one_line(word: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["symmetry-lab", word])
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == f"symmetry-lab: expected one of run, report, audit, relocate, got {word!r}{hint}"
