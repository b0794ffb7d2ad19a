"""One crash: its evidence collected from records, the package, what standards ask of it, the report for people."""
