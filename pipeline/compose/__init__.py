"""Compose: from the command line and conf/ to checked configurations. The only suite that knows Hydra's inside.

From outside, use ``CachedComposition``, ``checked_configs``, ``jobs_of_grid`` and ``open_multirun``.

- resolve        one composed configuration, its interpolations resolved, as a checked ``Config``
- jobs           all jobs of a sweep as checked configurations, before the first one trains
- grid           expand a grid of overrides to jobs, which are counted first
- cache          LRU cache of compositions: 1 ms a job instead of 70
- dump           YAML text by the C dumper
- config_loader  Hydra's config loader, which refuses lists and leaves keys of swept options to the jobs
- complaints     Hydra's exceptions and wrong flags in one line
- session        Hydra for a caller in this process, who finds it afterwards as it was
- repairs        what to type instead of an argument that Hydra cannot parse
"""
