"""Wire formats: what terminal and receiver must agree on. A pure leaf: bytes in, data out, no I/O.

rows      telemetry row as it lies on flash (canonical: one encoding per row)
bodies    every other kind of record body, and a description of any body for people and programs
codec     batch of records <-> payload (columns), lossless to the byte
ack       signed acknowledgement
topics    topic names and which lane travels where
birth     retained status document and will
framing   the one byte before each protobuf message, bounded compression

Formats are described for strangers in docs/reference/mqtt.md and docs/reference/records.md.
"""
