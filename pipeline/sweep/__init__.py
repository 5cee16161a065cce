"""Sweep: the program's heart. Which jobs a command has, which are tracked already, train the others, tell the result.

From outside, use ``run_sweep`` (by the sweeper), ``launch_stacked`` (by the launcher) and ``run`` (one job).

- run_sweep   the sweeper: check all jobs, resume, open the parent run, launch, finish
- resume      who decides that a run is already tracked, and which number a job has
- launch      the launcher: batches out to the executor, results in to the tracker
- job         one job under Hydra; names of runs; the value that sweepers minimise
- job_folder  Hydra's output folder of a job
- progress    progress bar, time left
- estimate    dry run, plan=true
- summary     means over seeds with intervals, the table at the end
- ending      failed jobs, how to go on, what to do next

Sweeper and launcher are two plugins of Hydra that need not know each other: each works with Hydra's own other half.
Where both are ours, two side channels go from ``run_sweep`` past Hydra's ``Launcher.launch(overrides, first number)``:

1. ``StackedLauncher.expect(numbers, configs)``: the numbers of a resumed sweep have gaps, and configurations that are
   checked need not be composed again. A launcher without it gets runs of consecutive numbers, and composes.
2. The environment variable SYMMETRY_LAB_SWEEP (``Sweep.announce``, ``current_sweep``): the parent run, for jobs under
   any launcher, also in processes that it starts.
"""
