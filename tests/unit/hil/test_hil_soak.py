"""hil/soak.py: what counts as growth, and sentences that name another time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hil.soak import MAX_KIB_PER_HOUR, Sample, judge, losses, restamp, slope

FLAT = Sample(0.0, 50_000, 60_000, 20_000, 29, 8, 6000, 10, 100, 1000, 0, 20.0)


def hours(count: int, **per_hour: float) -> list[Sample]:
    """Samples each half hour; a field grows by so much an hour, with a saw of 500 KiB on memory."""
    return [
        replace(
            FLAT,
            hours=4 + n / 2,
            **{name: int(getattr(FLAT, name) + rate * n / 2 + (n % 3) * 10) for name, rate in per_hour.items()},
        )
        for n in range(count)
    ]


def test_flat_memory_passes_in_spite_of_a_saw_and_an_outlier() -> None:
    """What comes and goes is no growth, and one large sample does not decide."""
    samples = hours(40, pss_kib=0, rss_kib=0)
    samples[7] = replace(samples[7], pss_kib=90_000, rss_kib=99_000)
    assert judge(samples) == []


@pytest.mark.parametrize("name", ["pss_kib", "rss_kib"])
def test_a_leak_is_found(name: str) -> None:
    """A little more than allowed fails, a little less passes."""
    assert any(name in text for text in judge(hours(40, **{name: MAX_KIB_PER_HOUR * 1.2})))
    assert judge(hours(40, **{name: MAX_KIB_PER_HOUR * 0.8})) == []


@pytest.mark.parametrize("name", ["descriptors", "threads"])
def test_descriptors_that_stay_open_are_found(name: str) -> None:
    """More in all of the second half than ever in the first."""
    samples = hours(10)
    grown = [replace(s, **{name: getattr(s, name) + (3 if n >= 5 else n % 2)}) for n, s in enumerate(samples)]
    assert any(name in text for text in judge(grown))
    swinging = [replace(s, **{name: getattr(s, name) + n % 2}) for n, s in enumerate(samples)]
    assert judge(swinging) == []


def test_too_few_samples_are_no_verdict() -> None:
    """A run that was too short does not pass."""
    assert judge(hours(3)) != []


def test_the_slope_is_the_median_of_all() -> None:
    """Theil-Sen on a line with one wild point."""
    assert slope([(0, 0), (1, 2), (2, 4), (3, 100), (4, 8)]) == 2.0
    assert slope([]) == 0.0


def test_every_loss_of_a_status_is_named() -> None:
    """Sources, queues, troubles, lanes and the journal itself; zeros and gauges are left out."""
    lane = {"overrun": 0, "shed": 0, "evicted": 0, "unreadable": 0, "durable": 9, "acknowledged": 3}
    status = {
        "sources": [{"name": "can", "frames": 7, "socket_lost": 2}, {"name": "gnss", "silences": 4}],
        "refused": {"frames_refused": 1, "outputs": {"Event": 3}},
        "troubles": {"tape": 5},
        "engine": {"forced": 3, "evidence_lost": 9},
        "journal": {"lanes": {"bulk": lane | {"shed": 6}, "event": lane}, "faults": 0, "quarantined": 8},
    }
    assert losses(status) == {
        "can.socket_lost": 2,
        "refused.frames_refused": 1,
        "troubles.tape": 5,
        "engine.forced": 3,
        "journal.bulk.shed": 6,
        "journal.quarantined": 8,
    }


MOVED = timedelta(days=40, hours=3, minutes=5)


def test_a_sentence_names_the_moved_time() -> None:
    """Time and date move together, over midnight and the end of a month; position and checksum stay right."""
    rmc = restamp(b"$GNRMC,235959.50,A,4808.98240,N,01133.61100,E,26.990,184.0,300426,,,A*4F\r\n", MOVED)
    assert b",030459.50,A," in rmc
    assert b",100626," in rmc
    assert b",4808.98240,N,01133.61100,E," in rmc
    gga = restamp(b"$GNGGA,235959.50,4808.98240,N,01133.61100,E,1,10,0.90,519.0,M,,M,,*5A\r\n", MOVED)
    assert gga.startswith(b"$GNGGA,030459.50,4808.98240,N")
    for sentence in (rmc, gga):
        body, _, check = sentence.strip()[1:].partition(b"*")
        xor = 0
        for byte in body:
            xor ^= byte
        assert int(check, 16) == xor


@pytest.mark.parametrize("sentence", [b"$GNVTG,184.0,T,,M,26.990,N,49.985,K,A*29\r\n", b"$GNRMC,,V,,,,,,,,,,N*4D\r\n"])
def test_a_sentence_without_a_time_stays(sentence: bytes) -> None:
    assert restamp(sentence, MOVED) == sentence
