"""The crash report as a browser shows it and paper takes it: whole, readable on a phone, no door for hostile texts."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from outrider.crash.document import CrashDocument
from outrider.crash.report_io import write_report
from tests.support import crash_documents as made
from tests.support.browser import look, paper

WIDTHS = (1280, 360)
HEADINGS = {
    "en": ("Where and from which side", "How sure, and why", "The impact", "Before and after", "How good the data are",
           "What is missing", "Numbers of the impact", "ΔV every 10 ms", "Signals of the car", "How it was measured"),
    "zh": ("位置与受撞方位", "可信程度及依据", "碰撞过程", "碰撞前后", "数据质量", "缺失内容", "碰撞参数"),
}  # fmt: skip
AXES = ("ΔV [km/h]", "acceleration [m/s²]", "turn rate [°/s]", "speed [km/h]", "pedals [%]", "engine [rpm]",
        "steering [°]", "yaw rate [°/s]", "on or off", "time from T0 [s]", "east of the impact [m]",
        "north of the impact [m]")  # fmt: skip


def written(document: CrashDocument, folder: Path, language: str = "en") -> Path:
    path = folder / "crash.html"
    write_report(document, path, language=language)
    return path


def svg_texts(path: Path) -> list[str]:
    return re.findall(r"<text [^>]*>([^<]*)</text>", path.read_text(encoding="utf-8"))


def check(page: Path, folder: Path) -> dict[int, dict[str, Any]]:
    """What holds for every report; what the browser saw at each width."""
    seen = look(page, folder, *WIDTHS)
    assert seen.console == []
    for width in WIDTHS:
        answer = seen.answers[width]
        assert answer["client"] == width
        assert answer["scroll"] <= width, answer["wide"]
        assert answer["wide"] == []
        assert answer["scripts"] == 0
        assert len(set(answer["ids"])) == len(answer["ids"])
        assert [link for link in answer["links"] if not re.match("#|data:,$", link)] == []
    return seen.answers


@pytest.fixture(scope="module")
def frontal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(made.frontal(), tmp_path_factory.mktemp("frontal"))


def test_the_report_in_a_browser(frontal: Path, tmp_path: Path) -> None:
    """No console errors, nothing wider than a phone, nothing from outside; one picture of each kind at every width."""
    answers = check(frontal, tmp_path)
    for width in WIDTHS:
        assert (answers[width]["svgs"], answers[width]["shown"]) == (6, 4)
        text = answers[width]["text"]
        places = [text.index(heading) for heading in HEADINGS["en"]]
        assert places == sorted(places)
        assert "hit at the front end, its speed changed by 58 km/h within 100 ms, at 57 km/h" in text
        assert "57.9 km/h (90 %: 54.4 to 61.3)" in text
        assert "raw CAN frames: −30.0 s to −28.1 s" in text
        assert "not an approved event data recorder" in text


def test_every_axis_bears_its_name_and_unit(frontal: Path) -> None:
    """Also T0, the moments of the verdict, the stated value beside its point; in the wide and the narrow picture."""
    texts = svg_texts(frontal)
    for name in AXES[:10]:
        assert texts.count(name) >= 2, name
    for name in (*AXES[10:], "100 m", "N", "12", "front"):
        assert name in texts, name
    assert texts.count("T0") == 4
    assert texts.count("suspected") == texts.count("confirmed") == 4
    assert texts.count("57.9 km/h (90 %: 54.4 to 61.3)") == 2


def test_pictures_are_told_to_those_who_cannot_see_them(frontal: Path) -> None:
    """Each has a role and a text with what is in it; tables have heads with scopes."""
    page = frontal.read_text(encoding="utf-8")
    labels = re.findall(r'<svg[^>]* role="img" aria-label="([^"]*)"', page)
    assert len(labels) == page.count("<svg")
    assert any("hit at the front end: principal direction of force +8°" in label for label in labels)
    assert any("ΔV [km/h]: resultant, longitudinal, lateral" in label for label in labels)
    assert "<th>" not in page


def test_the_report_on_paper(frontal: Path, tmp_path: Path) -> None:
    """A4, few pages, no figure cut by a page's end or printed for two widths, no address of a link."""
    sheets = PdfReader(paper(frontal, tmp_path)).pages
    pages = [unicodedata.normalize("NFKC", sheet.extract_text()) for sheet in sheets]
    box = sheets[0].mediabox
    assert (round(float(box.width)), round(float(box.height))) == (595, 842)
    assert 4 <= len(pages) <= 7
    for parts in (
        ("ΔV [km/h]", "turn rate [°/s]", "From 0.2 s before to 0.5 s after T0"),
        ("speed [km/h]", "pedals [%]", "on or off", "From 20 s before to 15 s after T0"),
        ("12\nfront", "east of the impact [m]", "Principal direction of force"),
    ):
        assert [all(part in page for part in parts) for page in pages].count(True) == 1, parts
        assert [any(part in page for part in parts[:2]) for page in pages].count(True) == 1, parts
    assert "file:" not in "".join(pages)


def test_the_report_in_chinese(tmp_path: Path) -> None:
    """Headings, sentence and pictures; nothing of it stays English, and the layout holds."""
    page = written(made.frontal(), tmp_path, "zh")
    assert '<html lang="zh-CN">' in page.read_text(encoding="utf-8")
    answers = check(page, tmp_path)
    text = answers[360]["text"]
    for heading in HEADINGS["zh"]:
        assert heading in text
    assert "主冲击力方向" in text
    assert "速度变化量" in text
    assert "加速度/(m/s²)" in svg_texts(page)
    names = r"van-0042|simcar|motion-2|outrider-crash/1|Vehicle[.\w]*|AirTemperature|dv\w+_kmh|confirm_s"
    files = r"delta_v\.csv|can\.log|every frame of the buses|at 100 Hz|\b[0-9a-f]{8,}[-0-9a-f]*"
    units = r"km/h|rpm|r/min|UTC|CAN|ASI|SHA|ISO|CFR|ABS|min"
    rest = re.sub(f"{names}|{files}|{units}", "", text)
    assert re.findall(r"[A-Za-z]{3,}", rest) == []


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    """Markup, endless names, signs that turn the direction of writing or are no text at all: shown, cut, harmless."""
    page = written(made.hostile(), tmp_path)
    source = page.read_bytes().decode("utf-8")  # half a pair would not encode
    assert "<script" not in source
    assert "<img" not in source
    assert "\u202e" not in source
    assert len(source) < 1_000_000
    answers = check(page, tmp_path)
    text = answers[360]["text"]
    assert "<script>document.title='x'</script>&<img src=x onerror=alert(1)>\\u202e\\x00$" in text.replace(
        "\\u0000", "\\x00"
    )
    assert "signs in all)" in text
    assert "name" * 80 not in text


@pytest.mark.parametrize("size", [1e308, -1e308, 3e38])
def test_numbers_that_nothing_measures_are_unknown(size: float, tmp_path: Path) -> None:
    """What a damaged or hostile terminal sends as a number does not stop the report, and is not drawn."""
    whole = made.frontal()
    assert whole.imu is not None
    assert whole.place is not None
    document = replace(
        whole,
        impact=replace(whole.impact, dv_kmh=size, dv_hi_kmh=size, peak_g=size, pdof_deg=size),
        place=replace(whole.place, hacc_m=size, heading_deg=size),
        delta_v=replace(whole.delta_v, resultant_kmh=(*whole.delta_v.resultant_kmh[:-1], size)),
        imu=replace(whole.imu, range_g=size, acc=(*whole.imu.acc[:2], (size,) * len(whole.imu.t_s))),
        series=tuple(replace(one, values=(size, *one.values[1:])) for one in whole.series),
        track=tuple(replace(point, speed_kmh=size, hacc_m=size) for point in whole.track),
    )
    text = written(document, tmp_path).read_text(encoding="utf-8")
    assert "its speed changed" not in text
    assert "e+" not in "".join(svg_texts(tmp_path / "crash.html"))


@pytest.mark.parametrize("name", ["saturated", "unaligned", "inferred", "not_numbers"])
def test_what_is_not_known_is_said(name: str, tmp_path: Path) -> None:
    """Never a nan, never a zero in place of an unknown, each kind of crash with the pictures it can have."""
    page = written(made.EVERY[name](), tmp_path)
    source = page.read_text(encoding="utf-8")
    visible = re.sub(r"<style>.*?</style>|<[^>]*>", " ", source, flags=re.DOTALL)
    assert not re.search(r"\b(nan|inf|None)\b", visible)
    figures = set(re.findall(r'<figure class="(\w+)"', source))
    assert (
        figures
        == {
            "saturated": {"car", "track", "blow", "whole"},
            "unaligned": {"track", "blow", "whole"},
            "inferred": {"track", "whole"},
            "not_numbers": {"car", "blow"},
        }[name]
    )
    words = {
        "saturated": ("at least 24.1 km/h", "end of the sensor's range", "left side", "wide because the sensor"),
        "unaligned": ("first direction", "sensor x", "the axes are its own", "not known"),
        "inferred": (
            "its silence alone",
            "There is no course of the acceleration",
            "nothing to add up",
        ),
        "not_numbers": ("not known", "unknown"),
    }[name]
    for word in words:
        assert word in source, word


def test_an_event_alone_is_a_report(tmp_path: Path) -> None:
    """No evidence, no place, no time: the page says so under each heading, and has no empty picture."""
    answers = check(written(made.nothing(), tmp_path), tmp_path)
    text = answers[360]["text"]
    assert answers[360]["svgs"] == 0
    for words in (
        "The car fired an airbag or a belt tensioner.", "not known", "5.00 s after the terminal's start",
        "Neither the place nor the side", "There is no course", "No signals and no accelerations", "95 %",
    ):  # fmt: skip
        assert words in text


def test_a_script_would_not_run(tmp_path: Path) -> None:
    """The page's own policy is a second lock: a script that got in all the same is refused by the browser."""
    page = written(made.nothing(), tmp_path)
    source = page.read_text(encoding="utf-8")
    page.write_text(source.replace("</main>", "<script>document.body.innerText = 'owned'</script></main>"), "utf-8")
    seen = look(page, tmp_path, 360)
    assert "owned" not in seen.answers[360]["text"]
    assert any("Content Security Policy" in line for line in seen.console)


def test_the_report_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault while writing leaves the old report as it was; so does a language nobody has translated."""
    path = tmp_path / "crash.html"
    path.write_text("old", encoding="ascii")
    with pytest.raises(ValueError, match="one of en, zh"):
        write_report(made.nothing(), path, language="tlh")
    monkeypatch.setattr("outrider.report.page_io.PackageLoader", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_report(made.nothing(), path, language="en")
    assert path.read_text(encoding="ascii") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_document_gives_the_same_page(tmp_path: Path) -> None:
    """Byte for byte: a report can be made again and compared."""
    first = written(made.not_numbers(), tmp_path).read_bytes()
    assert written(made.not_numbers(), tmp_path).read_bytes() == first
