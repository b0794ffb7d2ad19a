"""The receiver's numbers for Prometheus, over HTTP: ``GET /metrics``.

The counters of the receiver are read when Prometheus asks; times are kept in histograms as they happen. Names, meaning
and alerts: docs/operate/fleet.md. There is no log-in: the address is that of this machine unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from outrider.errors import ConfigError

_PREFIX: Final = "outrider_ingest_"
_COUNTS: Final = {
    "messages": "Messages that arrived.",
    "records": "Records stored for the first time.",
    "duplicates": "Records that had been stored before.",
    "conflicts": "Records whose key was stored with other content.",
    "births": "Status documents.",
    "beacons": "Signs of life of fast cars.",
    "letters_not_kept": "Dead letters counted but not kept: their sender had more than its share.",
    "shed": "Messages put off because their sender had more than its share.",
    "commits": "Transactions.",
    "acks": "Acknowledgements handed over for publishing.",
    "acks_without_key": "Acknowledgements not given for want of a key.",
    "connects": "Connections made to the source.",
    "link_faults": "Connections to the source that failed or ended.",
    "store_faults": "Times the sink refused.",
    "vanished": "Alarms raised for cars that vanished.",
    "returned": "Alarms cleared.",
    "watch_faults": "Faults of the watch for vanished cars.",
}
_GAUGES: Final = {"watched": "Cars whose next beacon is expected.", "held": "Silent cars held back as one of many."}
_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_RECORDS: Final = (0.0, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
_MESSAGES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)

Stats = Callable[[], Mapping[str, int]]
State = Callable[[], Mapping[str, float | None]]


class PrometheusMeter:
    """A ``Meter`` with a registry of its own, so that several can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._commit = Histogram(
            f"{_PREFIX}commit_seconds", "Until a transaction was durable.", buckets=_QUICK, registry=self.registry
        )
        self._group = Histogram(
            f"{_PREFIX}commit_messages", "Messages in a transaction.", buckets=_MESSAGES, registry=self.registry
        )
        self._answer = Histogram(
            f"{_PREFIX}ack_seconds",
            "From taking a message in to handing over its acknowledgement.",
            buckets=_QUICK,
            registry=self.registry,
        )
        self._behind = Histogram(
            f"{_PREFIX}behind_records",
            "How far the acknowledged position of a stream stood behind its newest record.",
            buckets=_RECORDS,
            registry=self.registry,
        )
        self._letters = Counter(
            f"{_PREFIX}dead_letters", "Payloads of no use, by class of reason.", ["cause"], registry=self.registry
        )
        for cause in ("too_large", "unreadable", "wrong_device", "wrong_topic", "fault"):
            self._letters.labels(cause)

    def committed(self, seconds: float, messages: int) -> None:
        self._commit.observe(seconds)
        self._group.observe(messages)

    def answered(self, seconds: float) -> None:
        self._answer.observe(seconds)

    def behind(self, records: int) -> None:
        self._behind.observe(records)

    def letter(self, cause: str) -> None:
        self._letters.labels(cause).inc()


class _ReceiverCollector(Collector):
    def __init__(self, stats: Stats, state: State) -> None:
        self._stats = stats
        self._state = state

    def collect(self) -> Iterator[Metric]:
        stats = dict(self._stats())
        stats.pop("dead_letters", None)  # told by cause
        for name, text in _COUNTS.items():
            yield CounterMetricFamily(_PREFIX + name, text, stats.pop(name, 0))
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(_PREFIX + name, text, stats.pop(name, 0))
        sink = GaugeMetricFamily(f"{_PREFIX}sink", "The sink's own counters, by name.", labels=["name"])
        for name, value in stats.items():
            sink.add_metric([name], value)
        yield sink
        for name, told in self._state().items():
            if told is not None:
                yield GaugeMetricFamily(_PREFIX + name, "Now.", told)


def serve(meter: PrometheusMeter, address: str, stats: Stats, state: State) -> tuple[str, int, Callable[[], None]]:
    """Answer on ``[HOST:]PORT`` (a thread of its own); host, port, and what ends it. ConfigError: cannot be done.

    state: gauges by name, None for what is not known.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"--metrics {address!r}: write PORT or HOST:PORT")
    meter.registry.register(_ReceiverCollector(stats, state))
    try:
        server, thread = start_http_server(int(port), host, meter.registry)
    except OSError as err:
        raise ConfigError(f"--metrics {address!r}: cannot listen there: {err.strerror or err}") from None

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return host, int(server.server_port), end
