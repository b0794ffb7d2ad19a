"""The sending side in the car: what is durable in the log is sent, and stays in the log until acknowledged.

options     what can be set, what can be read
window      how much may be on the way without a PUBACK
flow        one (epoch, lane): what was sent beyond the cursor, when to send it again
core        what to send next; pure, driven by time-stamped calls
dialect     which MQTT version to speak, how long to wait between connections
brokers     which broker next, and when
steering    rules, another network, a stall, a better broker
stall       does the upload get on, and if not, why
budget, usage  what may be sent, what was
traffic     names and sizes of what goes over the socket
dial_io     a TCP connection, also through a proxy; resolve_io: names within a time; scout_io: who can be reached
link_io     the wire of one connection: a fresh paho client driven by one thread
greeting    the status document of one connection
answers     what PUBACKs and acknowledgements do
tally       what is counted for the status
beacon_io   one beacon on its way, or none
log_view    the log's streams, also while it cannot tell
connection_io  one connection from CONNECT to its end
session_io  the threads that keep connecting: ``Uplink``

Rule: the log is the only queue. Nothing is kept here that could not be rebuilt from the log's cursor. The one exception
is the beacon, which is worth nothing later: it is sent now or dropped.
"""
