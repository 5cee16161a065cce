"""Executors: where batches of jobs train. The group ``executor`` of the configuration names one by ``_target_``.

From outside, use ``open_executor`` and ``Batch``. A batch trains as one stack; the same batch trained twice gives the
same bits, so one that is lost is simply trained again. Workers load neither Hydra nor MLflow.

- interface    what an executor does; create the one that a configuration names
- batch        what goes out (jobs) and what comes back (results or failures)
- inline       serial, in this process
- processes    local multiprocessing
- dask         a Dask scheduler, running or own
- slurm        Slurm jobs, through submitit
- exchange     folder through which driver and Slurm jobs hand over batches
- slurm_queue  squeue and scancel
- remote_work  check code, versions and data on another machine, then train
"""
