"""The error of the exact product beside those of float32 and float64.

    python -m benchmarks.product_error

Two matrices of independent standard normal numbers, (rows, inner) and (inner, rows). The error of an element is taken
in units of the sum of the magnitudes of its terms, which bounds it; true values come from extended precision.
"""

import numpy as np

from pipeline.nn.arithmetic import Array, exact_product, rounded_to_grid

ROWS = 64
INNER = (2, 8, 32, 64, 256, 784, 4096)


def errors(inner: int) -> dict[str, Array]:
    """Kind of product -> the errors of its elements, (ROWS, ROWS)."""
    generator = np.random.default_rng(0)
    left, right = generator.standard_normal((1, ROWS, inner)), generator.standard_normal((inner, ROWS))
    true = left[0].astype(np.longdouble) @ right.astype(np.longdouble)
    products = {
        "exact": exact_product(rounded_to_grid(left), rounded_to_grid(right))[0],
        "float32": (left[0].astype(np.float32) @ right.astype(np.float32)).astype(np.float64),
        "float64": left[0] @ right,
    }
    magnitudes = np.abs(left[0]) @ np.abs(right)
    return {kind: np.abs((product - true) / magnitudes).astype(np.float64) for kind, product in products.items()}


def main() -> None:
    print("| terms | " + " | ".join(f"{kind}, median | largest" for kind in errors(1)) + " |")
    print("|---" * 7 + "|")
    for inner in INNER:
        numbers = [f"{value:.0e}" for error in errors(inner).values() for value in (np.median(error), error.max())]
        print(f"| {inner} | " + " | ".join(numbers) + " |")


if __name__ == "__main__":
    main()
