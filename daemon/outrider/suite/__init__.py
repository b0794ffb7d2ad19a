"""Suites: drives with the events they must give, for a fleet's own CI. Pure but for ``*_io``; app/ runs them."""
