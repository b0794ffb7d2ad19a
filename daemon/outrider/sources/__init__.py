"""Where the world comes in: CAN, GNSS and recordings, each as a stream of ``SourceItem`` in time order.

Pure parts: ``nmea`` and ``fixes`` (sentences to fixes), ``sequence`` (frames into order and items), ``stamps`` (clock
domains), ``timeline`` (file time to engine time), ``merge`` (several sources into one stream). The ``*_io`` modules
own files, ports, buses and threads. Nothing here decodes a signal or decides anything about the drive.
"""
