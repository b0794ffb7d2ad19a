"""The reference page of profiles keeps up with the code."""

from __future__ import annotations

import re
from pathlib import Path

from outrider.model.vehicle import Role
from outrider.profile import explain, overlay
from outrider.profile.document import read_document
from outrider.profile.profile_file import parse_profile

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "profiles.md").read_text(encoding="utf-8")
CODE = re.compile(r'(?:log\.add\([^"]*?|_odd\(mapping, |Anomaly\([^"]*?|code = )"([a-z]+(?:-[a-z0-9]+)*)"')


def codes() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "daemon" / "outrider" / "profile").glob("*.py"):
        found |= set(CODE.findall(path.read_text(encoding="utf-8")))
    return found | set(explain.ERROR_CODES)


def test_every_anomaly_code_is_explained() -> None:
    """Whoever meets a code finds it on the page; the search itself finds most of them."""
    found = codes()
    assert len(found) >= 25
    assert not {code for code in found if f"`{code}`" not in PAGE}


def test_codes_that_fail_a_check_are_marked() -> None:
    """The star in the table is the exit code."""
    starred = set(re.findall(r"^\| `([a-z-]+)` \* \|", PAGE, re.MULTILINE))
    assert starred == set(explain.ERROR_CODES)


def test_every_key_role_and_capability_is_explained() -> None:
    """Keys of the overlay, roles with their units, capabilities."""
    keys = {*overlay._OUTRIDER_KEYS, *overlay._DBC_KEYS, *overlay._TRANSFORM_KEYS}
    assert not {key for key in keys if key not in PAGE}
    assert not {role.name for role in Role if role.name != "NONE" and not re.search(rf"\b{role.name}\b", PAGE)}
    assert not {key for key, _all, _any in explain._NEEDS if f"`{key}`" not in PAGE}


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_are_valid() -> None:
    """What a reader copies from the page is accepted as it stands."""
    (profile,) = examples("toml")
    assert parse_profile(profile, "page.toml").aliases()[0].frame_id == 0x7E9
    (text,) = examples("yaml")
    (mapping,) = overlay.parse_overlay(read_document(text, "page.yaml"), "page.yaml")
    assert (mapping.path, mapping.role, len(mapping.selectors)) == ("Vehicle.Speed", Role.SPEED, 2)
