"""Configuration files of the user's own that are torn or have flipped bits: a result, or one line that says where."""

import random
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.support.configurations import CONF
from tests.support.endings import CHEAP, ending_of
from tests.support.in_process import call

FILES = sorted(path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml"))


def damaged(content: bytes, seed: int) -> bytes:
    """The content cut off somewhere, with a few flipped bits, or with bytes that are no text."""
    generator = random.Random(seed)  # noqa: S311
    kind = generator.choice(("cut", "flipped", "foreign"))
    if kind == "cut":
        return content[: generator.randrange(len(content))]
    broken = bytearray(content)
    for _ in range(generator.randint(1, 4)):
        position = generator.randrange(len(broken))
        if kind == "flipped":
            broken[position] ^= 1 << generator.randrange(8)
        else:
            broken[position] = generator.choice((0x00, 0x1B, 0x80, 0xC3, 0xFF))
    return bytes(broken)


def arguments_for(file: str) -> list[str]:
    """A command line that reads ``broken.yaml`` in the place of a file of ``conf/``."""
    group = Path(file).parent.as_posix()
    chosen = ["--config-name=broken"] if group == "." else [f"{group}=broken"]
    return ["--config-dir=own", *chosen, *(["-m"] if group in (".", "experiment") else [])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configuration")


def checked_ending(folder: Path, file: str, seed: int) -> str:
    """How a command with a damaged copy of a file ends; ``--hypothesis-show-statistics`` counts it."""
    broken = folder / "own" / Path(file).with_name("broken.yaml")
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_bytes(damaged((CONF / file).read_bytes(), seed))
    try:
        ending, said = ending_of(folder, arguments_for(file))
    finally:
        broken.unlink()
    if ending != "refused":
        return ending
    assert len(said.splitlines()) == 1, said
    assert len(said) < 1000
    # Where the file is YAML, but not what is wanted, the complaint is about a key or a value.
    named = broken.with_suffix("").relative_to(folder / "own").as_posix() in said
    return "refused by file" if named else "refused by key"


@settings(**CHEAP, max_examples=12)
@given(st.sampled_from(FILES), st.integers(0, 10**6))
def test_a_broken_file_gives_a_result_or_one_line(folder: Path, file: str, seed: int) -> None:
    event(checked_ending(folder, file, seed))


@pytest.mark.soak
@settings(**CHEAP, max_examples=1500)
@given(st.sampled_from(FILES), st.integers(0, 10**6))
def test_many_broken_files_do_so(folder: Path, file: str, seed: int) -> None:
    event(checked_ending(folder, file, seed))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"name: mlp\nhidden_units: [3]\nactivation: \xfftanh\n", "can't decode byte 0xff"),
        (b"name: mlp\nhidden_units: [3", "expected ',' or ']'"),
        (b"name: mlp\nhidden_units: &units [*units]\n", "maximum recursion depth exceeded"),
        (b"a: " + 20_000 * b"[", "maximum recursion depth exceeded"),
    ],
    ids=["no text", "torn", "holds itself", "deep"],
)
def test_a_command_names_the_file(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "broken.yaml").write_bytes(content)
    completed = call("pipeline.run", "--config-dir=own", "model=broken", folder=tmp_path)
    assert completed.returncode == 1
    assert len(completed.stderr.splitlines()) == 1, completed.stderr
    assert "own/model/broken.yaml" in completed.stderr
    assert complaint in completed.stderr
    assert not (tmp_path / "mlflow.db").exists()
