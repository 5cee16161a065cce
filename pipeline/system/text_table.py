"""Tables of text that fit a terminal."""

from collections.abc import Sequence

GAP = "  "
SHORTEST_CELL = 6


def narrowed(columns: Sequence[tuple[str, ...]], width: int) -> list[tuple[str, ...]]:
    """Columns of texts in which the longest cells lose their middle until all fit."""
    longest = max(len(cell) for column in columns for cell in column)
    while longest > SHORTEST_CELL and total_width(columns) > width:
        longest -= 1
        half = longest // 2 - 1
        columns = [
            tuple(cell if len(cell) <= longest else f"{cell[: longest - half - 2]}..{cell[-half:]}" for cell in column)
            for column in columns
        ]
    return list(columns)


def total_width(columns: Sequence[Sequence[str]]) -> int:
    """Of the table that these columns make."""
    return sum(max(map(len, column)) for column in columns) + len(GAP) * (len(columns) - 1)


def rows_of(columns: Sequence[Sequence[str]], texts: int) -> list[str]:
    """The rows of a table whose first columns hold texts, and whose others hold numbers."""
    widths = [max(map(len, column)) for column in columns]
    return [
        GAP.join(
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in zip(*columns, strict=True)
    ]
