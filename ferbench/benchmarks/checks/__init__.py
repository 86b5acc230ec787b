"""Checks with codes: what a reader must know before trusting a run's numbers, found by the harness itself.

:mod:`~ferbench.benchmarks.checks.table` lists them. A check is a function from
:class:`~ferbench.benchmarks.checks.evidence.Evidence` to what it found; each has a page, ``ferbench show FB007``.
"""
