"""Several sources into one stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from outrider.errors import RecordingError
from outrider.model.fix import Fix, FixType
from outrider.model.frame import FrameBatch
from outrider.ports import SourceItem
from outrider.sources.merge import earliest_us, merge
from outrider.sources.stats import SourceStats


@dataclass
class Listed:
    """A source of prepared items; notes when it is opened."""

    name: str
    given: list[SourceItem]
    first_us: int = 0
    fails: RecordingError | None = None
    log: list[str] = field(default_factory=list)
    stats: SourceStats = field(default_factory=SourceStats)

    def items(self) -> Iterator[SourceItem]:
        self.log.append(self.name)
        yield from self.given
        if self.fails:
            raise self.fails


def fix(t_us: int) -> SourceItem:
    return SourceItem(t_us, fix=Fix(t_us, FixType.NONE))


def drain(stream: Iterator[SourceItem], seen: list[SourceItem]) -> None:
    for item in stream:
        seen.append(item)


def frames(*times: int) -> SourceItem:
    batch = FrameBatch()
    for t in times:
        batch.append(t, 1, b"")
    return SourceItem(times[-1], frames=batch)


def test_items_come_by_their_earliest_content() -> None:
    """A fix inside the span of a batch follows the batch, but time does not pass it before it is out."""
    merged = list(merge([Listed("can", [frames(0, 100), frames(150, 200)]), Listed("gnss", [fix(60), fix(170)])]))
    assert [earliest_us(i) for i in merged] == [0, 60, 150, 170]
    assert [i.watermark_us for i in merged] == [60, 60, 170, 200]


def test_the_watermark_never_passes_what_is_to_come() -> None:
    """Processing up to each watermark sees everything in order."""
    a = Listed("a", [frames(n, n + 90) for n in range(0, 1000, 100)])
    b = Listed("b", [fix(n) for n in range(0, 1000, 37)])
    merged = list(merge([a, b]))
    for n, item in enumerate(merged):
        rest = [earliest_us(later) for later in merged[n + 1 :]]
        assert item.watermark_us <= min(rest, default=item.watermark_us)


def test_ties_go_by_the_order_given() -> None:
    """Deterministic: same inputs, same stream."""
    first, second = Listed("x", [fix(5)]), Listed("y", [frames(5)])
    assert [i.fix is not None for i in merge([first, second])] == [True, False]
    assert [i.fix is not None for i in merge([second, first])] == [False, True]


def test_a_recording_is_not_opened_before_it_is_due() -> None:
    """Parts of a long drive are held open one after the other."""
    log: list[str] = []
    one = Listed("one", [fix(1), fix(2)], first_us=1, log=log)
    two = Listed("two", [fix(1000)], first_us=1000, log=log)
    stream = merge([two, one])
    assert next(stream).watermark_us == 1
    assert log == ["one"]
    assert [i.watermark_us for i in stream] == [2, 1000]
    assert log == ["one", "two"]


def test_a_broken_source_does_not_silence_the_others() -> None:
    """What was good before the break and everything else comes out; then the error."""
    broken = Listed("a", [fix(1)], fails=RecordingError("torn", path="a.log"))
    seen: list[SourceItem] = []
    stream = merge([broken, Listed("b", [fix(2), fix(3)])])
    with pytest.raises(RecordingError, match="torn"):
        drain(stream, seen)
    assert [item.watermark_us for item in seen] == [1, 2, 3]


def test_a_source_that_breaks_its_watermark_is_counted() -> None:
    """The stream's own watermark still never falls."""
    liar = Listed("a", [fix(100), fix(50)])
    assert [i.watermark_us for i in merge([liar])] == [100, 100]
    assert liar.stats.late_items == 1


def test_no_sources_no_items() -> None:
    """Empty in, empty out."""
    assert list(merge([])) == []
    assert list(merge([Listed("a", [])])) == []
