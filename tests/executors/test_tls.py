"""Who reaches a Dask scheduler: those with a certificate of its authority, and nobody else."""

from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.executors.batch import Batch
from pipeline.executors.interface import open_executor
from pipeline.training.stack import RunResult
from tests.executors.test_batch import drained, jobs
from tests.support.configurations import configuration

pytestmark = pytest.mark.slow
pytest.importorskip("distributed", reason="needs: pip install distributed")

from pipeline.executors import dask  # noqa: E402


def own_certificate(folder: Path) -> dict[str, str]:
    """A certificate as users make one, in three files."""
    folder.mkdir()
    dask.new_tls(folder)
    return {file: str(folder / file) for file in dask.TLS_FILES}


def test_only_who_has_the_user_s_certificate_reaches_the_scheduler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "CONNECTING", 5.0)
    mine, another = own_certificate(tmp_path / "mine"), own_certificate(tmp_path / "another")
    with closing(dask.DaskExecutor(1, address=None, workers=1, security=mine)) as there:
        assert there._address.startswith("tls://")
        chosen = {"executor": "dask", "executor.address": there._address}
        with open_executor(configuration(chosen | {"executor.security": mine}).executor) as executor:
            executor.submit(Batch((0,), jobs(1)))
            ((_, trained),) = drained(executor)
            assert isinstance(trained.outcomes[0], RunResult)
        for changes, words in (
            ({"executor.security": another}, f"executor.address: expected a Dask scheduler, got {there._address}: "),
            ({"executor.security": None}, "executor.security: expected {tls_ca_file: FILE, "),
            (
                {"executor.security": mine, "executor.address": there._address.replace("tls", "tcp")},
                "executor.address: expected a Dask scheduler, got tcp",
            ),
        ):
            with pytest.raises(InputError) as told:
                open_executor(configuration(chosen | changes).executor)
            assert str(told.value).startswith(words)
            assert len(str(told.value)) < 400


def test_an_own_scheduler_takes_nobody_else() -> None:
    with closing(dask.DaskExecutor(1, address=None, workers=1, security=None)) as there:
        assert there._address.startswith("tls://127.0.0.1:")
        with pytest.raises(InputError, match=r"^executor\.security: expected .* got null$"):
            open_executor(configuration({"executor": "dask", "executor.address": there._address}).executor)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tls_key": "/nowhere"}, r"tls_key: /nowhere} \(\[Errno 2\]"),
        ({"tls_cert": __file__}, r"\(\[SSL"),
        ({"password": "x"}, "password: x"),
    ],
)
def test_a_certificate_that_cannot_be_read_is_told_in_one_line(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    chosen = {"executor": "dask", "executor.security": own_certificate(tmp_path / "mine") | changes}
    with pytest.raises(InputError, match=rf"^executor\.security: expected PEM files as {{tls_ca_file: .*{words}"):
        open_executor(configuration(chosen).executor)
