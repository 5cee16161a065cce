"""The folders of reports, and the page that links them."""

import json
import unicodedata
from itertools import combinations
from pathlib import Path

import pytest

from analysis.page.index import ENTRY_FILE, INDEX_FILE, report_folder, write_index

STRANGE = [
    "a/b", "a\\b", "a:b", "a~b", "a\nb", "A_b", "a_B", "", ".", "..", "...", "../a_b", "/a_b", " a_b", "a_b ", "a_b.",
    ".a_b", INDEX_FILE, ENTRY_FILE, "Index.html", "con", "NUL", "com1.txt", "größe", "GRÖSSE", "gro\u0308ße",
    "\ufb01ne", "d\u0131gits", "\u200eabc", "not UTF-8 \udcff", "not UTF-8 \udcfe", "x" * 200, "x" * 201, "é" * 200,
    report_folder("a/b"), report_folder("A_b"),
]  # fmt: skip
ORDINARY = ["a_b", "symmetry", "one_unit", "wide nets", "lr=0.1, 50%", "2026-01-31", "grösse", "fine", "digits", "日本"]


def as_stored(folder: str) -> str:
    """What is left of a name on a file system to which case and spelling are the same."""
    return unicodedata.normalize("NFD", folder.upper()).lower()


def test_ordinary_names_are_their_own_folders() -> None:
    assert [report_folder(name) for name in ORDINARY] == ORDINARY


def test_no_two_experiments_share_a_folder_on_any_file_system() -> None:
    for one, other in combinations([*STRANGE, *ORDINARY], 2):
        assert as_stored(report_folder(one)) != as_stored(report_folder(other)), (one, other)


@pytest.mark.parametrize("name", STRANGE)
def test_a_folder_is_one_new_folder_under_the_output_and_readable(name: str, tmp_path: Path) -> None:
    folder = tmp_path / report_folder(name)
    folder.mkdir()
    assert [*tmp_path.iterdir()] == [folder]
    assert folder.name not in (INDEX_FILE, ENTRY_FILE)
    assert folder.name.isprintable()
    letters = [each for each in name[:50] if each.isalnum()]
    assert [each for each in folder.name.partition("~")[0] if each.isalnum()][: len(letters)] == letters


def test_a_report_in_the_folder_that_its_experiment_had_before_is_linked_once(tmp_path: Path) -> None:
    def report(folder: str) -> None:
        (tmp_path / folder).mkdir()
        entry = {"experiment_name": "a/b", "asks": "", "conclusion": f"in {folder}", "runs": 1}
        (tmp_path / folder / ENTRY_FILE).write_text(json.dumps(entry), encoding="utf-8")

    report("a_b")
    assert "in a_b" in write_index(tmp_path).read_text(encoding="utf-8")
    report(report_folder("a/b"))
    page = write_index(tmp_path).read_text(encoding="utf-8")
    assert f"in {report_folder('a/b')}" in page
    assert "in a_b<" not in page
