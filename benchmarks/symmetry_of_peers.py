"""At which widths rounding alone breaks the symmetry of equal hidden units, in our trainer and in its peers.

    python -m benchmarks.symmetry_of_peers [--steps 1000] [--widths 2,3,4] [--quick]

All hidden units of one tanh layer start with the same weights (0.1) and learn 500 digits by full-batch gradient
descent in float64, on one core, as in ``experiment=rounding``. In real numbers they stay equal for ever. The spread is
the largest difference between two hidden units' incoming weights from the same input after the last step; a width has
kept its symmetry only if it is exactly 0.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from benchmarks import machine
from benchmarks.sides import (
    Side,
    jax_single,
    jax_vmap,
    largest_disagreement,
    ours,
    scikit_learn,
    torch_batched,
    torch_loop,
)
from benchmarks.workloads import Problem, configuration, problem_of

WIDTHS = (*range(2, 28), 32, 50, 64, 100)
QUICK_WIDTHS = (4, 10)
STACKED = 4
AGREEMENT_WIDTH, AGREEMENT_STEPS = 4, 500
"""Enough steps for the loss to fall from its plateau, too few for a rounding error to grow into it."""


class Subject(NamedTuple):
    """A side, and how many equal runs it trains at once."""

    side: Side
    runs: int


SUBJECTS = {
    "ours, exact": Subject(ours("exact"), 1),
    "ours, blas (NumPy matmul)": Subject(ours("blas"), 1),
    "PyTorch": Subject(torch_loop, 1),
    f"PyTorch, batch of {STACKED} runs": Subject(torch_batched, STACKED),
    "JAX": Subject(jax_single, 1),
    f"JAX, vmap of {STACKED} runs": Subject(jax_vmap, STACKED),
    "scikit-learn": Subject(scikit_learn, 1),
}


def constant_start(width: int) -> Problem:
    """``STACKED`` equal runs of one hidden layer whose units all start equal."""
    start = ("init=constant", "init.value=0.1", f"model.hidden_units=[{width}]")
    return problem_of(configuration("data=digits", "data.limit=500", *start), STACKED)


def spread(problem: Problem, subject: Subject, steps: int) -> float:
    """max - min over the hidden units of their incoming weights after training; the largest of all inputs and runs."""
    weights, _ = subject.side(problem.first(subject.runs), steps)()
    return float((weights[0].max(axis=2) - weights[0].min(axis=2)).max())


def row(name: str, spreads: dict[int, float]) -> str:
    """The Markdown row of one side, given its spread at every width; a spread that is not a number has broken too.

    >>> row("a side", {2: 0.0, 3: 0.25})
    '| a side | 1 of 2 | 3 | 0.25 |'
    """
    broken = {width: value for width, value in spreads.items() if value != 0.0}
    which = ", ".join(map(str, broken)) or "none"
    return f"| {name} | {len(broken)} of {len(spreads)} | {which} | {max(spreads.values()):.2g} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.symmetry_of_peers", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--steps", type=int, default=1000, help="gradient descent steps")
    parser.add_argument("--widths", default=",".join(map(str, WIDTHS)), help="numbers of hidden units")
    parser.add_argument("--quick", action="store_true", help="two widths, 40 steps: to see that it works")
    options = parser.parse_args(arguments)
    widths = QUICK_WIDTHS if options.quick else [int(width) for width in options.widths.split(",")]
    steps = 40 if options.quick else options.steps
    machine.limit_to(1)
    compared = {name: subject.side for name, subject in SUBJECTS.items()}
    difference = largest_disagreement(constant_start(AGREEMENT_WIDTH), compared, AGREEMENT_STEPS)
    print(f"All sides agree at width {AGREEMENT_WIDTH}: after {AGREEMENT_STEPS} steps the training losses differ by"
          f" at most {difference:.0e}.", flush=True)  # fmt: skip
    spreads: dict[str, dict[int, float]] = {name: {} for name in SUBJECTS}
    for width in widths:
        problem = constant_start(width)
        for name, subject in SUBJECTS.items():
            spreads[name][width] = spread(problem, subject, steps)
        print(f"width {width}: " + "; ".join(f"{name} {spreads[name][width]:.1g}" for name in SUBJECTS), flush=True)
    print("\n| side | widths that broke | which | largest spread |\n|---|---|---|---|")
    print(*(row(name, values) for name, values in spreads.items()), sep="\n")
    print(f"\n{steps} steps, learning rate {problem.learning_rate:g}, {len(problem.labels)} examples.")
    print(f"{machine.description()} Run on {datetime.now(UTC):%Y-%m-%d}.")


if __name__ == "__main__":
    main()
