"""``outrider sim fleet``: many virtual terminals on one broker, and a look into the store at the end.

Terminals are real from the journal outwards (journal, uplink, wire); what they record is made up, and what happens to
them is drawn from the seed: outages, power cuts, a storm in which all reconnect at once, wrong clocks. The fleet ends
well when everything that was committed is acknowledged, and the store holds exactly that: each stream with the same
number of records and the same hash over them.
"""

from __future__ import annotations

import resource
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from random import Random
from typing import Final

from outrider.app.fleet_drive import Drive
from outrider.app.fleet_net import Road
from outrider.app.fleet_options import Difference, FleetOptions, FleetResult
from outrider.app.fleet_terminal import Digest, VirtualTerminal
from outrider.clock import SystemClock
from outrider.errors import ConfigError, InputError, JournalError
from outrider.ingest.sinks.sinks_io import open_store
from outrider.model.record import Lane
from outrider.uplink.options import SendOptions, TlsOptions, UplinkOptions

_TICK_S: Final = 0.1
_OUTAGE_S: Final = 60.0  # mean, in the terminal's time
_STOPPERS: Final = 32
_MAX_TIMES: Final = 100_000
_FILES_EACH: Final = 10
_MAX_DIFFERENCES: Final = 1000
_POLL_S: Final = 0.2

Progress = Callable[[str, float], None]  # what is going on, and the share of it


class _Member:
    """A terminal with its fate: when it is out of coverage, when its power fails, whether its clock is right."""

    def __init__(
        self, terminal: VirtualTerminal, road: Road | None, port: int, rng: Random, o: FleetOptions, *, pool: Executor
    ) -> None:
        self.terminal = terminal
        self._pool = pool
        self._rebooting: Future[None] | None = None
        self._road = road
        self._port = port
        self._rng = rng
        self._options = o
        self._is_out = False
        self._change_s = self._next_change_s(0.0)
        self._reboot_s = self._next_reboot_s(0.0)
        self.driven_s = 0
        self.has_wrong_clock = rng.random() < o.clock_errors

    def live(self, now_s: float, end_s: float) -> None:
        """Up to this moment of its time. It stands still while it starts again."""
        if self._rebooting is not None:
            if not self._rebooting.done():
                return
            self._rebooting.result()
            self._rebooting = None
        while now_s >= self._change_s:
            self._set_coverage(not self._is_out)
            self._change_s = self._next_change_s(self._change_s)
        seconds = int(min(now_s, end_s)) - self.driven_s
        if seconds > 0:
            self.terminal.advance(seconds, is_clock_right=not self.has_wrong_clock or now_s > end_s / 2)
            self.driven_s += seconds
        if now_s >= self._reboot_s:
            self._reboot_s = self._next_reboot_s(now_s)
            if self._road is not None:
                self._road.blink(self._port)
            if self._road is not None or not self._is_out:
                self._rebooting = self._pool.submit(self.terminal.reboot)

    def blink(self) -> None:
        """The connection is cut, for no longer than it takes to make a new one."""
        if self._road is not None:
            self._road.blink(self._port)
        elif not self._is_out and self._rebooting is None:
            self.terminal.link_down()
            self.terminal.link_up()

    def come_home(self) -> None:
        """Into coverage for good."""
        if self._rebooting is not None:
            self._rebooting.result()
        if self._is_out:
            self._set_coverage(False)

    def _set_coverage(self, is_out: bool) -> None:
        self._is_out = is_out
        if self._road is None:
            if is_out:
                self.terminal.link_down()
            else:
                self.terminal.link_up()
        elif is_out:
            self._road.cut(self._port)
        else:
            self._road.restore(self._port)

    def _next_change_s(self, now_s: float) -> float:
        share = self._options.outages
        if share <= 0:
            return float("inf")
        mean = _OUTAGE_S if self._is_out else _OUTAGE_S * (1 - share) / share
        return now_s + self._rng.expovariate(1 / mean)

    def _next_reboot_s(self, now_s: float) -> float:
        rate = self._options.reboots / 3600
        return now_s + self._rng.expovariate(rate) if rate > 0 else float("inf")


class Fleet:
    """``run`` once. progress(what, share) is called a few times a second."""

    def __init__(self, options: FleetOptions, progress: Progress = lambda _what, _share: None) -> None:
        self._options = options
        self._progress = progress
        self._clock = SystemClock()
        self._rng = Random(options.seed)
        self._times: list[float] = []

    def run(self) -> FleetResult:
        """ConfigError for what cannot be begun; a broker that is not there shows as records without
        acknowledgement."""
        if self._options.sink is not None:
            try:
                open_store(self._options.sink, self._options.register, read_only=True).close()
            except ConfigError:
                raise
            except (JournalError, InputError):
                pass  # it may not be there yet
        _allow_files(self._options.terminals * _FILES_EACH + 100)
        begun = time.monotonic()
        with ExitStack() as stack:
            broker = self._options.broker
            road = None if broker.tls else stack.enter_context(Road(broker.host, broker.port))
            members = self._make(road, stack)
            self._drive(members)
            self._settle(members)
            result = FleetResult(len(members), 0.0)
            if road is not None:
                result.cuts = road.cuts
            self._count(members, result)
        result.seconds = time.monotonic() - begun
        if self._options.sink is not None:
            self._check({m.terminal.device: m.terminal.digest() for m in members}, result)
        return result

    # ---- its life -----------------------------------------------------------------------------------

    def _make(self, road: Road | None, stack: ExitStack) -> list[_Member]:
        run = secrets.token_hex(3)
        members: list[_Member] = []
        pool = stack.enter_context(ThreadPoolExecutor(_STOPPERS))
        stack.callback(lambda: list(pool.map(lambda m: m.terminal.close(), members)))
        for number in range(1, self._options.terminals + 1):
            members.append(self._member(f"{self._options.prefix}-{run}-{number:04d}", road, pool))
            self._progress("start", number / self._options.terminals)
        return members

    def _member(self, device: str, road: Road | None, pool: Executor) -> _Member:
        o = self._options
        rng = Random(self._rng.getrandbits(64))
        port = o.broker.port if road is None else road.add()
        error = rng.choice((None, rng.uniform(-86_400, 86_400)))
        directory = None if o.journal is None else o.journal / device
        if directory is not None:
            try:
                directory.mkdir(parents=True, exist_ok=True)
            except OSError as err:
                raise ConfigError(f"{directory}: {err.strerror}") from None
        terminal = VirtualTerminal(
            self._uplink(device, "127.0.0.1" if road else o.broker.host, port),
            self._clock,
            rng,
            Drive(rng, self._clock.utc_us(), error),
            directory=directory,
            on_acknowledged_s=self._note_time,
        )
        return _Member(terminal, road, port, rng, o, pool=pool)

    def _uplink(self, device: str, host: str, port: int) -> UplinkOptions:
        """Timers of the terminal's own time run as much faster; those of the network do not."""
        o = self._options
        key = o.keys.key(device)
        if key is None:
            raise ConfigError(f"no acknowledgement key for {device}: the key file needs a master key")
        tls = TlsOptions(o.broker.ca_file, o.broker.certificate_file, o.broker.key_file) if o.broker.tls else None
        send = o.send or SendOptions(
            batch_age_s=max(0.2, 60 / o.speed), ack_timeout_s=5.0, ack_timeout_cap_s=20.0, puback_timeout_s=10.0
        )
        return UplinkOptions(
            host=host, port=port, device=device, ack_key=key, tls=tls, username=o.broker.username,
            password=o.broker.password, backoff_cap_s=10.0, send=send,
        )  # fmt: skip

    def _drive(self, members: Sequence[_Member]) -> None:
        end_s = self._options.minutes * 60
        begun = time.monotonic()
        storm_s = end_s / 2 if self._options.storm else float("inf")
        now_s = 0.0
        while now_s < end_s:
            now_s = (time.monotonic() - begun) * self._options.speed
            for member in members:
                member.live(now_s, end_s)
            if now_s >= storm_s:
                storm_s = float("inf")
                for member in members:
                    member.blink()
            self._progress("drive", min(1.0, now_s / end_s))
            time.sleep(_TICK_S)

    def _settle(self, members: Sequence[_Member]) -> None:
        """Everybody in coverage, everything sent; until all is acknowledged or the time is over."""
        for member in members:
            member.come_home()
            member.terminal.finish()
        deadline = time.monotonic() + self._options.settle_s
        at_first = left = sum(m.terminal.unacknowledged() for m in members)
        while left and time.monotonic() < deadline:
            self._progress("settle", 1 - left / at_first)
            time.sleep(_POLL_S)
            left = sum(m.terminal.unacknowledged() for m in members)

    # ---- what came of it ----------------------------------------------------------------------------

    def _note_time(self, seconds: float) -> None:
        if len(self._times) < _MAX_TIMES:
            self._times.append(seconds)

    def _count(self, members: Sequence[_Member], result: FleetResult) -> None:
        records: Counter[str] = Counter({lane.name.lower(): 0 for lane in Lane})
        totals: Counter[str] = Counter()
        for member in members:
            totals.update(member.terminal.totals())
            result.reboots += member.terminal.reboots
            result.unacknowledged += member.terminal.unacknowledged()
            for (_epoch, lane), (count, _hash) in member.terminal.digest().items():
                records[lane.name.lower()] += count
        result.records = dict(records)
        result.connects, result.published, result.acks = totals["connects"], totals["published"], totals["acks"]
        result.sent_bytes, result.received_bytes = totals["sent_bytes"], totals["received_bytes"]
        result.acks_refused = totals["acks_forged"] + totals["acks_replayed"] + totals["acks_absurd"]
        times = sorted(self._times)
        if times:
            result.ack_p50_s, result.ack_p99_s = times[len(times) // 2], times[int(len(times) * 0.99)]

    def _check(self, truth: dict[str, Digest], result: FleetResult) -> None:
        """The store beside the truth, stream by stream."""
        assert self._options.sink is not None
        with closing(open_store(self._options.sink, self._options.register, read_only=True)) as store:
            for index, (device, sent) in enumerate(truth.items(), 1):
                result.differences += compare(device, sent, store.digest(device))
                self._progress("check", index / len(truth))
        del result.differences[_MAX_DIFFERENCES:]
        result.checked = True


def compare(device: str, sent: Digest, stored: Digest) -> list[Difference]:
    """Streams of which the store has not exactly what was sent."""
    found = []
    for key in sorted({*sent, *stored}):
        (sent_count, sent_hash), (stored_count, stored_hash) = sent.get(key, (0, "")), stored.get(key, (0, ""))
        if (sent_count, sent_hash) == (stored_count, stored_hash):
            continue
        why = "content" if sent_count == stored_count else "missing" if stored_count < sent_count else "too many"
        found.append(Difference(device, key[0], key[1].name.lower(), sent_count, stored_count, why))
    return found


def _allow_files(count: int) -> None:
    """Sockets for all; ConfigError when the system does not allow so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        if wanted < count:
            raise ConfigError(f"this needs {count} open files, {hard} are allowed: `ulimit -n`, or fewer terminals")
