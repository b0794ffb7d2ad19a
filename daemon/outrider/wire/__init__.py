"""Wire formats: what terminal and receiver must agree on. A pure leaf: bytes in, data out, no I/O.

rows        telemetry row as it lies on flash (canonical: one encoding per row)
bodies      every other kind of record body
crash_state body of a CRASH record
evidence    slices of evidence <-> pieces that travel
describe    any body as a JSON-ready dict, for people and programs
codec       batch of records <-> payload, lossless to the byte
columns     columns of integers <-> bytes, by predict (what is left to code), steps (how), rangecoder (in few bits)
ack         signed acknowledgement
topics      topic names and which lane travels where
birth       retained status document and will
beacon      sign of life of a moving car, in fixed fields
framing     the one byte before each protobuf message, bounded compression

``outrider_pb2`` is generated from ``outrider.proto``: in daemon/, ``python -m grpc_tools.protoc -I. --python_out=.
--mypy_out=. outrider/wire/outrider.proto``. Formats are described for strangers in
docs/reference/mqtt.md and docs/reference/records.md; tests/golden holds payloads that must decode for ever.
"""
