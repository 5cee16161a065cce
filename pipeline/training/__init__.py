"""Training: from checked configurations to results, a stack of runs at a time. No files, no tracker, no Hydra.

- ``stack``: ``train_stack``, from configurations to ``RunResult``; ``stack_key`` says which runs can train together
- ``loop``: gradient steps, and metrics at measured steps
- ``recording``: weights at all measured steps, of the runs that ``record_weights`` names
- ``description``: what was read, for the log and for the sweep's run
- ``datasets``: ``dataset_of``, data sets checked against the driver's digest and cached
- ``fingerprint``: the hash by which a run counts as already tracked; ``RESULT_VERSION``
- ``checks``: a configuration against its data: memory, batch size, feature scales
- ``footprint``: memory estimates
- ``batching``: how many runs make a stack, and how many workers fit
"""
