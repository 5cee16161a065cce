"""One digest on every machine: small trainings of every kind, repeated as other processors would compute them.

    python -m benchmarks.machines [--quick] [--arm FOLDER] [--python PYTHON ...]

Each row of the matrix is a process of its own in which NumPy's fast kernels, OpenBLAS, the C library or the number of
threads are others, as far as this CPU can play them; with ``--python`` also interpreters whose NumPy, SciPy and
scikit-learn are others, and with ``--arm`` a 64-bit ARM machine, which ``benchmarks/arm64.sh`` sets up. All of them
train the same runs, and every bit of every run must agree: the data, the initial and final weights, and every metric at
every step. Exit code 1 if one does not.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.config.parse import parse_config
from pipeline.config.schema import Config
from pipeline.errors import InputError
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.initializers import INITIALIZERS
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.training.datasets import dataset_of
from pipeline.training.stack import RunResult, train_stack

Machine = tuple[Sequence[str], Mapping[str, str]]
"""The command of an interpreter, and variables of its environment."""
PROJECT = Path(__file__).resolve().parents[1]
SHORT = ("training.steps=12", "training.measure_at=4", "model.hidden_units=[6,4]", "training.batch_size=null",
         "data=moons", "data.test_fraction=0.25")  # fmt: skip
MEASURED = ("measures=[weight_norm,movement,balance,mirror_distance,mode_strengths,layer_moments,frequency_gap,"
            "distance_modulo_sign,input_distance,effective_width,stability,hessian]")  # fmt: skip
KEYS_OF_SCHEMES = {
    "constant_layers": ("init.values=[0.1,null,0.2]",),
    "orthogonal": ("init.gain=1.5",),
}
GENERATED = ("moons", "circles", "xor", "blobs", "spirals", "whitened", "teacher")
BUNDLED = ("digits", "breast_cancer", "iris", "wine")
WITHOUT_AVX512 = "X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL"
WITHOUT_AVX2 = f"X86_V3 AVX2 FMA3 {WITHOUT_AVX512}"
"""NumPy's names of what these processors lack, those of releases before 2.4 included."""
QUICK = ("as it is", "C library without AVX2 and FMA")
FAILED = "the process itself"
LIBRARIES = ("numpy", "scipy", "scikit-learn")
BLAS_KERNELS = {"Prescott": "pni", "Nehalem": "sse4_2", "Sandybridge": "avx", "Haswell": "avx2", "Zen": "avx2",
                "SkylakeX": "avx512f"}  # fmt: skip


def cases() -> dict[str, tuple[str, ...]]:
    """Name -> overrides as on the command line: every activation, optimiser, scheme, loss and data set."""
    logistic = ("model=logistic", "model.hidden_units=[]")
    return (
        {f"activation {name}": (f"model.activation={name}",) for name in ACTIVATIONS}
        | {f"optimizer {name}": (f"optimizer={name}", "optimizer.weight_decay=0.01") for name in OPTIMIZERS}
        | {f"init {name}": (f"init={name}", *KEYS_OF_SCHEMES.get(name, ())) for name in INITIALIZERS}
        | {f"data {name}": (f"data={name}", "data.limit=60" if name in GENERATED else "data.limit=null")
           for name in GENERATED + BUNDLED}
        | {f"loss {name} of {data}": (f"training.loss={name}", f"data={data}")
           for name in ("null", "squared_error") for data in ("moons", "iris")}
        | {f"logistic {data}, l2 {l2:g}": (*logistic, f"data={data}", f"training.l2={l2}")
           for data in ("moons", "blobs", "wine") for l2 in (0.0, 0.01)}
        | {"separator": (*logistic, "data=iris", "data.limit=100", "training.l2=0", "measures=[separator]"),
           "measures": (MEASURED, "training.steps=6"),
           "data coin": ("data=coin", "data.limit=null", "training.loss=squared_error", "data.label_noise=0.5"),
           "replaced labels": ("data.label_noise=0.3", "data=iris", "data.limit=null", "training.batch_size=32"),
           "minibatches": ("training.batch_size=32", "training.steps=20"),
           "dropout and biases": ("model.dropout=0.2", "init.bias_scale=0.5"),
           "diverging": ("optimizer.learning_rate=1e200", "model.activation=relu"),
           "deep": ("model.hidden_units=[5,5,5,5]", "init=constant")}
    )  # fmt: skip


def environments() -> dict[str, dict[str, str]]:
    """Name -> variables of a process that computes as another machine would; only such as this CPU can play."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    kernels = [kernel for kernel, needed in BLAS_KERNELS.items() if f" {needed}" in flags]
    return (
        {"as it is": {}, "two threads": {"OPENBLAS_NUM_THREADS": "2"}}
        | {"NumPy without AVX-512": {"NPY_DISABLE_CPU_FEATURES": WITHOUT_AVX512}}
        | {"NumPy without AVX2": {"NPY_DISABLE_CPU_FEATURES": WITHOUT_AVX2}}
        | {f"OpenBLAS as for {kernel}": {"OPENBLAS_CORETYPE": kernel} for kernel in kernels}
        | {"C library without AVX2 and FMA": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA"}}
    )


def digest_of(config: Config, result: RunResult) -> str:
    """Hash of everything scientific of a run, as the machine computed it."""
    digest = hashlib.sha256(dataset_of(config.data).digest.encode())
    for array in (result.initial, result.final):
        digest.update(np.ascontiguousarray(array + 0.0, "<f8").tobytes())
    for key, curve in sorted(result.curves.items()):
        steps, values = zip(*curve, strict=True)
        numbers = np.array(values, "<f8") + 0.0
        numbers[np.isnan(numbers)] = np.nan
        digest.update(f"{key} {steps} {result.diverged_at} {result.optimum}".encode() + numbers.tobytes())
    return digest.hexdigest()[:16]


def trained_digests(configs: Mapping[str, Config]) -> dict[str, str]:
    """What this process makes of the runs; in place of a digest, what it had to say against one."""
    digests = {}
    for name, config in configs.items():
        try:
            digests[name] = digest_of(config, train_stack([config])[0])
        except InputError as error:
            digests[name] = str(error)
    return digests


def digests_elsewhere(python: Sequence[str], variables: Mapping[str, str], file: Path) -> dict[str, str]:
    """What a process of its own makes of the runs in the file."""
    environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ, "NPY_DISABLE_CPU_FEATURES": "", **variables}
    found = subprocess.run(
        [*python, "-W", "ignore", "-m", "benchmarks.machines", "--train", str(file)],
        cwd=PROJECT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        return {FAILED: found.stderr.strip().splitlines()[-1]}
    digests: dict[str, str] = json.loads(found.stdout)
    return digests


def _libraries_of(python: str) -> str:
    """An interpreter by the versions of its libraries."""
    script = f"from importlib.metadata import version; print(*(f'{{p}} {{version(p)}}' for p in {LIBRARIES}), sep=', ')"
    return subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def _arm_machine(folder: Path) -> Machine:
    qemu = shutil.which("qemu-aarch64-static") or "qemu-aarch64"
    emulated = (qemu, "-L", str(folder / "root"), str(folder / "root/usr/bin/python3"))
    return emulated, {"PYTHONPATH": f"{folder / 'site'}:{PROJECT}"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.machines", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only the environments that differ most")
    parser.add_argument("--arm", metavar="FOLDER", type=Path, help="the ARM machine that benchmarks/arm64.sh made")
    parser.add_argument("--python", metavar="PYTHON", nargs="+", default=[], help="interpreters with other libraries")
    parser.add_argument("--train", metavar="FILE", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.train is not None:
        composed = json.loads(options.train.read_text(encoding="utf-8"))
        print(json.dumps(trained_digests({name: parse_config(values) for name, values in composed.items()})))
        return
    from benchmarks.workloads import configuration  # Hydra, which the other machines need not have.

    configs = {name: configuration(*SHORT, *overrides) for name, overrides in cases().items()}
    chosen = environments()
    if options.quick:
        chosen = {name: variables for name, variables in chosen.items() if name in QUICK}
    machines: dict[str, Machine] = {name: ((sys.executable,), variables) for name, variables in chosen.items()}
    for python in options.python:
        for without, changed in (("", {}), (", without AVX2", {"NPY_DISABLE_CPU_FEATURES": WITHOUT_AVX2})):
            machines[_libraries_of(python) + without] = ((python,), {"PYTHONPATH": str(PROJECT), **changed})
    if options.arm is not None:
        machines["64-bit ARM, emulated"] = _arm_machine(options.arm.resolve())
    print(f"{len(configs)} runs on every machine, {_libraries_of(sys.executable)}\n")
    print("| machine | digest | runs that differ |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs.json"
        composed = {name: config.composed() for name, config in configs.items()}
        file.write_text(json.dumps(composed), encoding="utf-8")
        reference: dict[str, str] = {}
        differences = 0
        for name, (python, variables) in machines.items():
            found = digests_elsewhere(python, variables, file)
            reference = reference or found
            differ = sorted(key for key in reference.keys() | found.keys() if reference.get(key) != found.get(key))
            differences += len(differ)
            differ = [found[FAILED]] if FAILED in found else differ
            whole = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
            print(f"| {name} | {whole} | {', '.join(differ) or 'none'} |", flush=True)
    refused = [f"{key}: {digest}" for key, digest in reference.items() if len(digest) != 16]
    print("", *refused, f"{differences} digests differ", sep="\n")
    sys.exit(1 if differences or refused else 0)


if __name__ == "__main__":
    main()
