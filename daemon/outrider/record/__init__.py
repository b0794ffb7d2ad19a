"""Records on flash: the journal, its writer thread, and the small state files beside it.

Pure modules decide and lay out bytes; ``storage_io``, ``writer_io`` and ``blackbox_io`` touch disk and threads.
The format is docs/reference/journal-format.md, the reasons are docs/internals/journal.md.
"""
