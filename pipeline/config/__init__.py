"""The typed configuration of a run: schema, parsing, and messages that say what to type.

- ``schema``: ``Config`` and one dataclass a group; ``scientific()`` is what determines a result
- ``parse``: ``parse_config``, from nested plain values to a checked ``Config``; keys that contradict each other
- ``options``: keys that a function's signature defines, for initialisers, optimisers, data sets and executors
- ``messages``: annotations and validation errors in the words of a user
- ``known_keys``: spelling suggestions from ``conf/``

From outside: ``Config`` and its groups, ``parse_config``; ``compose`` takes its suggestions from ``known_keys``.
"""
