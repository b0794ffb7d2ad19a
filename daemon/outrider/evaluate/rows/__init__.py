"""One module a row of the scoring table; each has ``score(recordings, effort) -> RowResult``.

A row reads recordings, asks the detector, compares with the labels. It raises MissingError when its recordings are not
there. The place for the check of delta-V intervals (90 %, coverage on the data) is ``injected.py``, beside the error of
delta-V: the detector states no interval yet.
"""
