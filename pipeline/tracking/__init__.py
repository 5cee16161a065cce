"""Tracking: what MLflow holds of runs and sweeps, delivered whole and once, also when the store is away for a while.

From outside, use ``Tracker``, ``Sweep``, ``current_sweep`` and ``record_of``. This file imports nothing, because
MLflow takes seconds to load: rooms that load it are marked with *.

- tracker*    the facade that sweeps write through: open, log, finish and describe a sweep
- records     one run as plain values, made from a configuration and its result; the digest of a result
- tags        versions, machine and commit of a run; question and command of a sweep
- sweeps      a sweep and its tracked runs as values; how jobs learn which sweep they belong to
- delivery*   retry with exponential backoff, or journal what the store refuses
- journal     results on disk that wait for the store
- curves*     save, merge and upload the curves of a sweep as one Parquet table
- ui_views    prepared views for the MLflow UI
- store*      one level below: all that depends on how MLflow stores its runs
"""
