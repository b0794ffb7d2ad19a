"""The receiver: decode, remove duplicates, store, acknowledge. Runs beside a broker, not in the car.

progress       how far a stream is complete
clock          boot time -> UTC by the clock fixes of that boot
keys           acknowledgement keys of the devices
options        what can be set
core           a message -> what to store, what to answer; pure
vigil          what is heard, told to the dead-man; pure
watchkeeper_io the vigil in the receiver's loop
alarms_io      alarms, last beacons and coverage in the database
schema         the tables, as SQL
store_io       the SQLite database
lock_io        one receiver per database
subscriber_io  one MQTT connection
deadman        is a silent car lost? (with _options, _place, _coverage, _car, _crowd, _score, _alarm); pure
receiver_io    the loop that joins them: ``Receiver``

Rule: stored for good first, confirmed to the broker second, acknowledged to the terminal third.
"""
