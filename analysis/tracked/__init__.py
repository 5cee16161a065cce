"""The tracking store as tables.

store      reads experiments, runs and their histories through MLflow's API
artifacts  reads what sweeps and runs left as files: curves, lists of jobs, weights
rows       one run as a row of the table of runs, if it is as this project tracks it
curves     ``load_curves``: the curves of many runs as one table, whose texts are categories
load       ``load_tables``: the finished runs of an experiment, with their curves
runs       ``Runs``: a frame of runs that knows their curves and weights
tables     ``Tables``: what claims and figures ask
"""
