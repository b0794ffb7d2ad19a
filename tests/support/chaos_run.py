"""An uplink, a broker and a receiver under one fault after the other; in the end, what arrived beside what was written.

The terminal's log is in memory (what power cuts do to the real one has tests of its own); mosquitto, sockets and the
receiver with its SQLite are real. A fault lasts for a moment, while records are written; then the next one comes, over
what the one before left. Numbers, nothing else, say how it ended.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Lane
from outrider.uplink.options import SendOptions
from outrider.uplink.session_io import Uplink
from outrider.wire.ack import Ack, LanePosition, sign_ack
from tests.support.broker import Broker
from tests.support.chaos_proxy import ChaosProxy
from tests.support.delivery import DEVICE, KEY, make_uplink, receiver, stored
from tests.support.memory_log import MemoryLog, opaque, telemetry
from tests.support.mqtt_packets import connack, publish

HASTY = SendOptions(
    batch_records=20,
    backfill_records=60,
    batch_age_s=0.1,
    ack_timeout_s=0.3,
    ack_timeout_cap_s=0.6,
    emergency_ack_timeout_s=0.2,
    emergency_ack_timeout_cap_s=0.4,
    puback_timeout_s=0.4,
    emergency_puback_timeout_s=0.3,
)


class ChaosRun:
    """``run`` once. broker_final: the mutant that takes a PUBACK for an acknowledgement."""

    def __init__(self, folder: Path, seed: int, **changes: Any) -> None:
        self._rng = random.Random(seed)
        self._database = folder / "r.db"
        self._folder = folder
        self._changes = {"send": HASTY, "backoff_s": 0.02, "backoff_cap_s": 0.1, "connect_timeout_s": 0.5} | changes
        self.log = MemoryLog()
        self._acknowledged: dict[tuple[int, Lane], int] = {}
        self._counts: Counter[str] = Counter()
        self._uplink_counts: Counter[str] = Counter()
        self._standing = 0
        self._receiver: ExitStack | None = None
        self.faults: dict[str, Callable[[], None]] = {
            "cut": self._cut,
            "connection refused": self._shut,
            "black hole": lambda: self._switch("black_hole"),
            "half open": self._half_open,
            "PUBACKs swallowed": lambda: self._switch("swallow_pubacks"),
            "PUBACK without the broker": lambda: self._switch("lie"),
            "acknowledgements swallowed": lambda: self._switch("swallow_acks"),
            "messages twice": lambda: self._switch("duplicate", 0.5),
            "messages in another order": lambda: self._switch("reorder", 0.5),
            "CONNECT refused": lambda: self._switch("refuse", self._rng.choice([1, 5, 0x87, 0x97])),
            "SUBSCRIBE refused": lambda: self._switch("bad_suback"),
            "no answer to CONNECT": lambda: self._switch("mute"),
            "wrong packets": self._babble,
            "acknowledgements forged": self._forge,
            "acknowledgements replayed": self._replay,
            "session taken over": self._take_over,
            "broker killed": self._kill_broker,
            "receiver stopped": self._stop_receiver,
            "terminal crashed": self._crash,
        }

    def run(self, faults: int) -> dict[str, Any]:
        """So many faults, all kinds in turn by chance. Times are short, so that a thousand take minutes."""
        self._broker = Broker(self._folder)
        self.proxy = ChaosProxy(self._broker.port)
        self.proxy.rng = self._rng
        began = time.monotonic()
        try:
            self._start_receiver()
            self._start_uplink()
            names = list(self.faults)
            for number in range(faults):
                name = names[number % len(names)] if number < len(names) else self._rng.choice(names)
                self._write()
                self._standing += self._rng.random() < 0.8 and self._stands()
                self.faults[name]()
                self._counts[name] += 1
            return self._end(time.monotonic() - began)
        finally:
            self._uplink.stop(flush_timeout_s=0.1)
            self._end_receiver()
            self.proxy.close()
            self._broker.kill()

    # ---- the parties --------------------------------------------------------------------------------

    def _start_uplink(self) -> None:
        self._uplink: Uplink = make_uplink(self.log, self.proxy.port, on_acknowledged=self._note, **self._changes)
        self._uplink.start()

    def _note(self, epoch: int, lane: Lane, up_to: int, _at: int) -> None:
        self._acknowledged[epoch, lane] = max(self._acknowledged.get((epoch, lane), 0), up_to)

    def _start_receiver(self) -> None:
        self._receiver = ExitStack()
        self._receiver.enter_context(receiver(self._broker.port, self._database))

    def _end_receiver(self) -> None:
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None

    def _write(self) -> None:
        """What a car writes in a while."""
        for index in range(self._rng.randrange(1, 40)):
            self.log.append(telemetry(index, self._rng), durable=False)
        for lane, chance in ((Lane.EVENT, 0.5), (Lane.EMERGENCY, 0.3), (Lane.LEDGER, 0.2), (Lane.BULK, 0.2)):
            if self._rng.random() < chance:
                self.log.append(opaque(lane, 1, self._rng.randrange(20, 900), self._rng), durable=False)
        self.log.commit()

    def _stands(self) -> bool:
        """Give the link a moment to come back, so that there is something to break."""
        for _ in range(100):
            if self._uplink.status().connected:
                return True
            time.sleep(0.005)
        return False

    def _while(self, least: float = 0.02, most: float = 0.15) -> None:
        time.sleep(self._rng.uniform(least, most))

    # ---- faults -------------------------------------------------------------------------------------

    def _switch(self, name: str, value: Any = True) -> None:
        setattr(self.proxy, name, value)
        if self._rng.random() < 0.5 or name in {"refuse", "bad_suback", "mute"}:
            self.proxy.cut()
        self._while(most=0.7 if name in {"black_hole", "swallow_pubacks", "swallow_acks"} else 0.15)
        self.proxy.calm()

    def _cut(self) -> None:
        self._while()
        self.proxy.cut()

    def _shut(self) -> None:
        self.proxy.shut()
        self._while()
        self.proxy.reopen()

    def _half_open(self) -> None:
        self.proxy.half_open()
        self._while()
        self.proxy.calm()

    def _babble(self) -> None:
        self.proxy.inject(
            self._rng.choice(
                [self._rng.randbytes(40), b"\x30\xff\xff\xff\x7f" + bytes(99), connack(5), publish("t/x", b"", qos=2)]
            )
        )
        self._while()

    def _forge(self) -> None:
        """All that was ever written is acknowledged, by whoever has no key, or for another device."""
        everything = tuple(LanePosition(e, lane, n) for (e, lane), (n, _digest) in self.log.digest().items())
        for key, device in ((b"k" * 32, DEVICE), (KEY, "car-2")):
            payload = sign_ack(Ack(device, 1 << 62, everything), key)
            self.proxy.inject_message(f"t/{DEVICE}/a", payload)
        self._while()

    def _replay(self) -> None:
        for payload in list(self.proxy.acks):
            self.proxy.inject_message(f"t/{DEVICE}/a", payload)
        self._while()

    def _take_over(self) -> None:
        """Somebody connects by the same name: the broker ends our session."""
        thief = Client(CallbackAPIVersion.VERSION2, client_id=DEVICE)
        thief.connect("127.0.0.1", self._broker.port)
        thief.loop(0.05)
        self._while()
        thief.disconnect()

    def _kill_broker(self) -> None:
        self._broker.kill()
        self._while()
        self._broker.start()

    def _stop_receiver(self) -> None:
        self._end_receiver()
        self._while()
        self._start_receiver()

    def _crash(self) -> None:
        """The process is gone: window, timers, all but the log."""
        self.proxy.black_hole = True  # not even a last word
        self.proxy.cut()
        self._collect()
        self._uplink.stop(flush_timeout_s=0.0)
        self.proxy.calm()
        self._start_uplink()

    # ---- the end ------------------------------------------------------------------------------------

    def _collect(self) -> None:
        self._uplink_counts.update(self._uplink.status().counters)

    def _end(self, seconds: float) -> dict[str, Any]:
        acknowledged = dict(self._acknowledged)
        self.proxy.calm()
        arrived = self.log.wait_acknowledged(120)
        self._collect()
        self._uplink.stop(flush_timeout_s=0.5)
        self._end_receiver()
        written, held = self.log.digest(), stored(self._database)
        with Store.open(self._database, read_only=True) as store:
            positions = {(key.epoch, key.lane): n for key, n in store.positions().items()}
            conflicts = sum("conflict" in reason for _topic, reason, _payload in store.dead_letters())
        lost = sum(max(0, n - positions.get(key, 0)) for key, n in {**acknowledged, **self._acknowledged}.items())
        names = ("connects", "puback_timeouts", "ack_timeouts", "refused", "hang_ups", "acks_forged", "acks_replayed")
        return {
            "faults": sum(self._counts.values()),
            "on_a_link_that_stood": self._standing,
            "by_kind": dict(self._counts),
            "seconds": round(seconds, 1),
            "records": sum(n for n, _digest in written.values()),
            "sent_batches": self._uplink_counts["published"],
            "acknowledged_records_lost": lost,
            "records_not_arrived": sum(n - held.get(key, (0, ""))[0] for key, (n, _digest) in written.items()),
            "duplicates_after_deduplication": sum(max(0, held[k][0] - written[k][0]) for k in held) + conflicts,
            "contents_differ": sum(held.get(key) != value for key, value in written.items()),
            "all_acknowledged": arrived,
            "seen": {name: self._uplink_counts[name] for name in names},
        }
