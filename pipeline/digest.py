"""One hash for a whole sweep: what two people compare to know that they have the same numbers."""

import hashlib
from collections.abc import Collection, Mapping


def sweep_digest(digests: Mapping[str, str], jobs: Collection[str]) -> str:
    """Hash of everything scientific that a sweep has tracked, 16 hexadecimal digits.

    A run's fingerprint stands for its configuration and its data, its digest for every metric at every step and for its
    initial and final weights. The runs are taken in the order of their fingerprints, so neither the order in which they
    were trained counts, nor the machine, the executor or the store.

    Args:
        digests: fingerprint -> digest of the finished runs.
        jobs: fingerprints of the sweep's jobs; a job that is not finished is marked as missing.
    """
    lines = (f"{fingerprint} {digests.get(fingerprint, 'missing')}\n" for fingerprint in sorted(set(jobs)))
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
