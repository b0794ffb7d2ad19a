"""NMEA: any chunking gives the same sentences, and nothing a receiver can say makes the terminal fall over."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.model.fix import FixType
from outrider.sources.fixes import FixAssembler
from outrider.sources.nmea import NmeaFramer, seal
from outrider.sources.stats import NmeaStats

BODIES = st.from_regex(
    r"(GP|GL|GA|GB|BD|GN|QZ|GI)(RMC|GGA|GSA|VTG|ZDA|GST|GNS|GSV|GLL)(,[-0-9A-Z.]{0,11}){0,18}", fullmatch=True
)
TIMES = st.sampled_from(["", "000000.00", "235959.95", "235960.00", "120000", "120000.04", "995959.00", "12"])
NUMBERS = st.sampled_from(["", "0", "1", "2", "3", "6", "8", "99.99", "-1", "1.5", "A", "V", "N", "E", "9999999999"])
PLACES = st.sampled_from(["", "3617.5613,N", ",", "0000.0,N", "9999.9,S", "4503.0,Q", "-1,N"])
RMC = st.builds(
    "GNRMC,{},{},{},{},{},{},{},,,{}".format,
    TIMES,
    NUMBERS,
    PLACES,
    st.sampled_from(["09718.5057,W", ",", "18100.0,E"]),
    NUMBERS,
    NUMBERS,
    st.sampled_from(["", "100326", "311226", "320000", "290226", "060180", "1"]),
    NUMBERS,
)
GGA = st.builds("GNGGA,{},{},09718.5,W,{},{},{},{},M,1.0,M,,".format, TIMES, PLACES, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
ZDA = st.builds("GPZDA,{},{},{},{},,".format, TIMES, NUMBERS, NUMBERS, st.sampled_from(["", "2026", "0", "99999"]))
SENTENCES = st.one_of(BODIES, RMC, GGA, ZDA)
PIECES = st.one_of(SENTENCES.map(seal), st.binary(max_size=40), st.sampled_from([b"$", b"!", b"\r\n", b"*", b"\0"]))


@given(st.lists(PIECES, max_size=12), st.lists(st.integers(0, 600), max_size=12))
def test_any_chunking_gives_the_same_sentences_and_counters(pieces: list[bytes], cuts: list[int]) -> None:
    """The framer does not see where one read ends and the next begins."""
    data = b"".join(pieces)
    whole_stats, cut_stats = NmeaStats(), NmeaStats()
    whole, cut = NmeaFramer(whole_stats), NmeaFramer(cut_stats)
    expected = [s.text for s in whole.feed(data, 0) + whole.close()]
    edges = sorted({0, len(data), *(c for c in cuts if c < len(data))})
    got = [s.text for a, b in pairwise(edges) for s in cut.feed(data[a:b], 0)]
    assert got + [s.text for s in cut.close()] == expected
    assert asdict(cut_stats) == asdict(whole_stats)


@given(SENTENCES)
def test_a_sealed_sentence_is_found(body: str) -> None:
    """Whatever garbage is before it, a whole sentence on its own line is read."""
    stats = NmeaStats()
    assert [s.text for s in NmeaFramer(stats).feed(b"\xff$GP\n" + seal(body), 0)] == [f"${body}"]


@settings(max_examples=100)
@given(st.lists(st.tuples(SENTENCES, st.integers(0, 2_000_000)), max_size=30), st.booleans())
def test_the_assembler_never_raises_and_never_lies_about_places(said: list[tuple[str, int]], learn: bool) -> None:
    """Fixes keep to their ranges; time is never ahead of the sentences; every epoch is a fix or no fix."""
    stats = NmeaStats()
    framer, assembler = NmeaFramer(stats), FixAssembler(stats, learn=learn)
    now = 1
    reports = []
    for body, later in said:
        now += later
        for sentence in framer.feed(seal(body), now):
            reports += assembler.feed(sentence)
            assert all(r.fix.t_us <= now for r in reports)
    reports += assembler.flush()
    assert stats.epochs == stats.fixes + stats.no_fix == len(reports)
    for fix in (r.fix for r in reports):
        if fix.fix_type is FixType.NONE:
            assert fix.lat_deg is fix.lon_deg is fix.speed_mps is None
        else:
            assert fix.lat_deg is not None
            assert fix.lon_deg is not None
            assert -90 <= fix.lat_deg <= 90
            assert -180 <= fix.lon_deg <= 180
        assert fix.heading_deg is None or 0 <= fix.heading_deg < 360
        assert fix.speed_mps is None or 0 <= fix.speed_mps <= 515
        assert 0 <= fix.sats <= 255
