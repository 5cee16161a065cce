"""The operating system: processes, signals, memory, files and terminals; nothing here knows what is trained.

- command           run a command's ``main``: signals, exit codes, encodings
- signals           Ctrl-C and SIGTERM: at once, or a flag that whoever waits looks at (``stoppable``)
- worker_process    start of a worker: it ends with its driver
- broken_pipe       ignore EPIPE on stdout and stderr
- process_identity  host, pid and start time of a process: does it still live?
- memory            bytes that this process may use (cgroups, ulimit); refuse what needs more
- atomic_file       write a file by rename
- slow_answer       say what is waited for
- text_table        tables of text that fit a terminal
"""
