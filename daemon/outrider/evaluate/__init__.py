"""How good the detector is, told by recordings: loaders of every layout, one module a row of the table, the report.

Rule: rows are pure functions of recordings and a seed; they tune nothing. What touches files is in ``*_io.py``, what
touches the clock in ``rows/cost_io.py``. numpy comes with ``pip install outrider[workstation]``.
"""
