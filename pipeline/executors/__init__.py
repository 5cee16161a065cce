"""Executors: where batches of jobs train. The group ``executor`` of the configuration names one by ``_target_``.

From outside, use ``open_executor`` and ``Batch``. A batch trains as one stack; the same batch trained twice gives the
same bits, so one that is lost is simply trained again. Workers load neither Hydra nor MLflow.

- interface    what an executor does; create the one that a configuration names
- batch        what goes out (jobs) and what comes back (results or failures)
- inline       serial, in this process
- processes    local multiprocessing
- dask         a Dask scheduler, running or own
- dask_worker  Dask worker that finishes its batch before it ends
- jobqueue     jobs of Slurm, PBS, SGE, LSF, HTCondor and OAR, through dask-jobqueue
- job_keeper   how many jobs there are, and others for those that have ended
- remote_work  check code, versions and data on another machine, then train
"""
