"""One digest on every machine: the cases of ``benchmarks.machines`` cover every kind, and no kernel changes a bit."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

from benchmarks.machines import SHORT, WITHOUT_AVX2, cases, digests_elsewhere, environments, trained_digests
from benchmarks.workloads import configuration
from pipeline.data.examples import FILES
from pipeline.data.sources import SOURCES
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.initializers import INITIALIZERS
from pipeline.nn.optimizers import OPTIMIZERS
from tests.support.sweeps import completed_apart

DEFAULT_SWEEP = "fdc5bb1dfcdfd8dc"
"""As ``python -m pipeline.run -m`` prints it at its end."""
EVERYWHERE = "70e893c20559924e"
"""Of all cases, on x86 with SSE alone, with AVX2, with AVX-512, and on 64-bit ARM. It changes with RESULT_VERSION."""


def test_the_cases_cover_every_activation_optimizer_scheme_and_data_set() -> None:
    for kind, members in (("activation", ACTIVATIONS), ("optimizer", OPTIMIZERS), ("init", INITIALIZERS)):
        assert {f"{kind} {name}" for name in members} <= cases().keys()
    assert {f"data {name}" for name in SOURCES.keys() - FILES} <= cases().keys()


def test_other_kernels_of_numpy_and_blas_change_no_bit(tmp_path: Path) -> None:
    chosen = ("activation gelu", "init orthogonal", "logistic blobs, l2 0", "separator", "data digits")
    configs, file = {name: configuration(*SHORT, *cases()[name]) for name in chosen}, tmp_path / "runs.json"
    file.write_text(json.dumps({name: config.composed() for name, config in configs.items()}))
    variables = {"NPY_DISABLE_CPU_FEATURES": WITHOUT_AVX2, "OPENBLAS_CORETYPE": "Nehalem"}
    assert digests_elsewhere([sys.executable], variables, file) == trained_digests(configs)


@pytest.mark.slow
@pytest.mark.parametrize("machine", environments())
def test_every_machine_gives_the_one_digest(machine: str, tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    configs = {name: configuration(*SHORT, *overrides) for name, overrides in cases().items()}
    file.write_text(json.dumps({name: config.composed() for name, config in configs.items()}))
    found = digests_elsewhere([sys.executable], environments()[machine], file)
    assert hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16] == EVERYWHERE


@pytest.mark.slow
def test_the_default_sweep_has_one_digest_too(tmp_path: Path) -> None:
    assert f"\nDigest of all their numbers: {DEFAULT_SWEEP}\n" in completed_apart(tmp_path, "-m")
