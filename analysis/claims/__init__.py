"""Statements and their verdicts: each is decided by the measured number furthest from its prediction.

claim: a row of the table of claims. verdicts: from all measured values. laws: from a fitted slope. source_text and
learning: the statements of the source text. answer: the registry of prepared questions (``question``, ``ANSWERS``).
"""
