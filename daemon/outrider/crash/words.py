"""The fixed texts of a document, in English: what each term, flag and gap means to a person.

Documents are the same in every language; ``_`` here marks a text for the catalogues, the report translates it when it
is written. Texts of the command line are in ``cli``.
"""

from __future__ import annotations

from typing import Final

from outrider.model.event import CrashEvidence, DataQuality
from outrider.model.evidence import EvidencePart


def _(text: str) -> str:
    return text


TERMS: Final[dict[CrashEvidence, str]] = {
    CrashEvidence.DV_LOW: _("the impact changed the car's velocity, by less than 8 km/h"),
    CrashEvidence.DV8: _("the impact changed the car's velocity by 8 km/h or more"),
    CrashEvidence.DV25: _("the change of velocity was 25 km/h or more"),
    CrashEvidence.AIRBAG: _("the car reported an airbag, belt tensioner or crash"),
    CrashEvidence.COLLAPSE: _("the car's speed fell to 60 % or less within four seconds"),
    CrashEvidence.THRUST: _("the car was pushed forward at once"),
    CrashEvidence.STANDING: _("the car stood still afterwards"),
    CrashEvidence.SILENCE: _("the car's buses or its supply fell silent with the impact"),
    CrashEvidence.TURN: _("the car turned faster than 100 degrees a second"),
    CrashEvidence.ROLLOVER: _("the car rolled over"),
    CrashEvidence.VERTICAL: _("the push was mostly vertical and the speed did not change, as with a pothole or kerb"),
    CrashEvidence.PARKED: _("the car was parked"),
    CrashEvidence.TURNED: _("the terminal turned in its mount and the speed did not change"),
}

# What was seen, and what it means for the numbers.
QUALITY: Final[dict[DataQuality, tuple[str, str]]] = {
    DataQuality.NAN: (
        _("the accelerometer sent values that are no numbers"),
        _("they were left out; the delta-V may be too small"),
    ),
    DataQuality.SATURATED: (
        _("the accelerometer reached the end of its range"),
        _("the true delta-V and peak are larger than stated"),
    ),
    DataQuality.STUCK: (
        _("an axis of the accelerometer did not move or sat at an end of its range"),
        _("size and direction of the impact are not to be relied on"),
    ),
    DataQuality.AXES_TURNED: (
        _("gravity changed its direction at once: the terminal turned, or axes were swapped"),
        _("the direction of the impact is not to be relied on"),
    ),
    DataQuality.RATE_CHANGED: (
        _("the rate of the accelerometer changed"),
        _("peaks from before and after cannot be compared"),
    ),
    DataQuality.TIME_BACK: (
        _("samples came twice or with a time that went back"),
        _("they were left out"),
    ),
    DataQuality.INVALID: (
        _("the accelerometer marked samples as not valid"),
        _("they were left out; the delta-V may be too small"),
    ),
    DataQuality.GAP: (
        _("samples of the accelerometer are missing"),
        _("the delta-V may be too small"),
    ),
    DataQuality.IMU_STOPPED: (
        _("the accelerometer stopped"),
        _("what came after is not in the numbers"),
    ),
    DataQuality.NO_IMU: (
        _("there was no accelerometer"),
        _("no delta-V and no direction; the verdict rests on speed, silence and the car's own messages"),
    ),
    DataQuality.LOW_RATE: (
        _("the accelerometer was slower than 40 Hz"),
        _("impacts cannot be measured with it"),
    ),
    DataQuality.NOT_ALIGNED: (
        _("how the terminal sits in the car was not known yet"),
        _("the delta-V has a size but no direction"),
    ),
    DataQuality.NO_SPEED: (
        _("no speed was known"),
        _("a fall of the speed could neither confirm nor contradict the verdict"),
    ),
    DataQuality.GNSS_JUMP: (
        _("position or speed of the receiver jumped after a first fix"),
        _("the jump was left out"),
    ),
    DataQuality.NO_GNSS: (
        _("there was no position"),
        _("the place may be unknown or old"),
    ),
    DataQuality.SPEED_LATE: (
        _("the speed came only from diagnostics or the satellite receiver"),
        _("it is up to a second old: the speed at the impact may be too high"),
    ),
    DataQuality.UNKNOWN_RANGE: (
        _("the measuring range of the accelerometer is not known"),
        _("whether it reached its end cannot be told"),
    ),
}

PARTS: Final[dict[EvidencePart, str]] = {
    EvidencePart.FRAMES: _("raw CAN frames"),
    EvidencePart.IMU: _("raw accelerations"),
    EvidencePart.SIGNALS: _("signals of the car"),
    EvidencePart.BLACK_BOX: _("black-box page"),
    EvidencePart.FIXES: _("positions"),
    EvidencePart.INPUTS: _("supply and ignition"),
}

DAMAGED_RECORD: Final = _("its checksum is right but its content cannot be read")
FOREIGN_RECORD: Final = _("a newer version wrote it; this version cannot read it")

NO_EVENT: Final = _("the verdict")
NO_EVENT_WHY: Final = _("its records are not here: lost, or not received yet")
NO_STATE: Final = _("calibration, thresholds and names of the signals at the time")
NO_STATE_WHY: Final = _("no crash state is here: an older version recorded this, or it is lost or not received yet")
NOT_CLOSED: Final = _("the end of the recording")
NOT_CLOSED_WHY: Final = _("the terminal lost its energy before it was over, or it is not received yet")
PIECES: Final = _("pieces of it are not here: dropped, lost with the supply, or not received yet")
PIECES_QUOTA: Final = _("pieces of it were dropped to make room for newer records")
REFUSED: Final = _("pieces of it contradict each other or are damaged")
STARTS_LATE: Final = _(
    "the recorder did not reach back that far: the terminal had just started, or its memory is small"
)
ENDS_EARLY: Final = _("recording ended early: the terminal lost its energy, or the rest is not received yet")
SILENT: Final = _("all that was recorded is here: the source said nothing then")
NO_PART: Final = _("nothing of it is here: it was not recorded, or is lost or not received yet")
NO_IMU: Final = _("the terminal had no accelerometer, or nothing of it was recorded")
NO_UTC: Final = _("date and time")
NO_UTC_WHY: Final = _("no clock record of this start of the terminal is here")
NO_PLACE: Final = _("the place")
NO_PLACE_WHY: Final = _("no position was known at the time")
NO_DIRECTION: Final = _("direction of the impact")
NO_DIRECTION_WHY: Final = _("how the terminal sits in the car was not known")
NO_PULSE: Final = _("delta-V")
NO_PULSE_WHY: Final = _("no pulse was measured: the verdict rests on other evidence")
NO_CURVE: Final = _("the course of the delta-V")
NO_CURVE_WHY: Final = _(
    "the raw samples do not add up to the delta-V that was said: gravity turned with the car, or they are not here"
)
NO_NAMES: Final = _("names of the signals")
NO_NAMES_WHY: Final = _("the records do not tell which signal is which; give the profile with --profile")
NO_WEIGHTS: Final = _("what counted for and against")
NO_WEIGHTS_WHY: Final = _("an older version did not record it")
