"""Where batches of jobs are trained: in this process, in others, or on other machines.

``batch`` says what goes out and what comes back, ``interface`` what an executor does; each further module holds one
executor, and the group ``executor`` of the configuration names the one that is used (``choice``).
"""
