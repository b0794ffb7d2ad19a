"""The framer: bytes to sentences, and a counter for everything that is none."""

from __future__ import annotations

import pytest

from outrider.sources.nmea import MAX_SENTENCE, NmeaFramer, checksum, seal
from outrider.sources.stats import NmeaStats

GGA = seal("GPGGA,134731.361,5540.3252,N,01231.2946,E,1,10,0.8,36.1,M,41.5,M,,0000")
RMC = seal("GNRMC,134731.361,A,5540.3252,N,01231.2946,E,1.42,93.80,041112,,,A")


def frame(data: bytes, **options: bool) -> tuple[list[str], NmeaStats]:
    stats = NmeaStats()
    framer = NmeaFramer(stats, **options)
    return [s.text for s in framer.feed(data, 5)], stats


def test_a_known_checksum() -> None:
    """The checksum of a sentence a real receiver wrote."""
    assert checksum("GPGSA,A,3,03,22,06,19,11,14,32,01,28,18,,,1.8,0.8,1.6") == 0x3F


@pytest.mark.parametrize("ending", [b"\r\n", b"\n", b"\r", b"\n\r\n"])
def test_any_line_ending(ending: bytes) -> None:
    """CRLF, LF and CR end a sentence; empty lines are nothing."""
    texts, stats = frame(GGA[:-2] + ending + RMC[:-2] + ending)
    assert [t[:6] for t in texts] == ["$GPGGA", "$GNRMC"]
    assert (stats.sentences, stats.garbage_bytes) == (2, 0)


def test_a_half_line_is_lost_alone() -> None:
    """A sentence cut off by the next one costs only itself."""
    texts, stats = frame(GGA[:30] + RMC)
    assert [t[:6] for t in texts] == ["$GNRMC"]
    assert stats.half_lines == 1


def test_a_nul_inside_spoils_the_sentence_and_is_counted() -> None:
    """Control bytes and bytes over 127 never get into a sentence."""
    texts, stats = frame(GGA[:10] + b"\0" + GGA[10:] + RMC[:12] + b"\xb5" + RMC[12:] + RMC)
    assert [t[:6] for t in texts] == ["$GNRMC"]
    assert stats.half_lines == 2
    assert stats.garbage_bytes > 2


def test_garbage_between_sentences_is_counted_white_space_is_not() -> None:
    """What some receivers pad their output with is no fault."""
    texts, stats = frame(b"   \r\n" + GGA + b"abc\r\n" + RMC)
    assert len(texts) == 2
    assert stats.garbage_bytes == 3


def test_an_over_long_line_is_dropped() -> None:
    """A line that never ends does not eat memory."""
    texts, stats = frame(b"$GPGGA" + b"1" * 10_000 + b"\r\n" + RMC)
    assert len(texts) == 1
    assert stats.overlong == 1


def test_the_longest_allowed_sentence_passes() -> None:
    """A sentence of exactly the limit is kept."""
    body = "GPGSV," + "1" * (MAX_SENTENCE - len("$GPGSV,*00"))
    texts, stats = frame(seal(body))
    assert (len(texts), stats.overlong) == (1, 0)


@pytest.mark.parametrize("damage", [b"*00", b"*5", b"*5G", b"*", b"*55*55", b"*+5"])
def test_a_wrong_checksum_is_dropped(damage: bytes) -> None:
    """Only two right hex digits at the end make a sentence."""
    texts, stats = frame(GGA.partition(b"*")[0] + damage + b"\r\n")
    assert texts == []
    assert stats.checksum_errors == 1


def test_a_lower_case_checksum_is_right() -> None:
    """Some receivers write hex in lower case."""
    body = next(b for b in (f"GPZDA,{n:06d}.00,10,03,2016,00,00" for n in range(60)) if checksum(b) % 16 > 9)
    assert frame(f"${body}*{checksum(body):02x}\r\n".encode())[1].sentences == 1


def test_a_missing_checksum_is_a_matter_of_policy() -> None:
    """Dropped by default, accepted where the caller says so."""
    bare = GGA.partition(b"*")[0] + b"\r\n"
    assert frame(bare)[1].no_checksum == 1
    assert frame(bare, require_checksum=False)[1].sentences == 1


def test_a_proprietary_sentence_is_counted_and_left_out() -> None:
    """$P... is the business of its maker."""
    texts, stats = frame(seal("PTNL,GGK,225652.00,031016") + seal("PUBX,00"))
    assert texts == []
    assert stats.proprietary == 2


def test_the_time_is_that_of_the_first_byte() -> None:
    """A sentence that arrives in two reads bears the time of the first."""
    framer = NmeaFramer(NmeaStats())
    assert framer.feed(b"\r\n" + GGA[:7], 100) == []
    (sentence,) = framer.feed(GGA[7:] + b"$", 200)
    assert (sentence.t_us, sentence.talker, sentence.kind) == (100, "GP", "GGA")


def test_reset_forgets_a_half_line() -> None:
    """What was begun before an unplug is not continued after it."""
    stats = NmeaStats()
    framer = NmeaFramer(stats)
    framer.feed(GGA[:20], 1)
    framer.reset()
    assert framer.feed(GGA[20:] + RMC, 2)[0].kind == "RMC"
    assert stats.half_lines == 1


def test_a_last_line_without_ending() -> None:
    """A file may end without a line feed."""
    framer = NmeaFramer(NmeaStats())
    assert framer.feed(GGA[:-2], 1) == []
    assert [s.kind for s in framer.close()] == ["GGA"]
