"""The cache of data sets and optima: the newest value always, older ones as far as they fit into memory."""

import pytest

from pipeline.training import datasets
from pipeline.training.datasets import SizedCache


def test_a_cache_keeps_the_last_values_that_fit_and_always_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "machine_memory", lambda: 10 * datasets.KEPT_SHARE)
    made: list[str] = []

    def doubled(key: str) -> str:
        made.append(key)
        return key * 2

    cache = SizedCache(doubled, len)
    for key in ("aa", "bb", "aa", "c", "aa"):
        assert cache(key) == key * 2
    assert made == ["aa", "bb", "c"]
    # "bb" is the one used longest ago: 4 + 4 + 2 bytes are kept, 4 + 2 + 4 + 2 are not.
    cache("d")
    cache("aa")
    cache("c")
    assert made == ["aa", "bb", "c", "d"]
    cache("bb")
    assert made[-1] == "bb"
    cache("a large one")
    assert cache("a large one") == "a large one" * 2
    assert made.count("a large one") == 1
