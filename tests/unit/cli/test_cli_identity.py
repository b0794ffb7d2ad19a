"""``outrider ca``, ``enrol`` and ``identity``: what they print, and what they say when something is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from outrider.cli.main import cli
from outrider.errors import OutriderError
from tests.support.identity import Enrolment, Wall, authority, enrolment, pair

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "cli-schema.json").read_text(encoding="utf-8"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def document(name: str, *arguments: object) -> Any:
    """One JSON document, held against its definition."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    jsonschema.validate(found, {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})
    return found


def refusal(*arguments: object) -> str:
    """What it says when it refuses."""
    result = run(*arguments)
    assert result.exit_code != 0
    if isinstance(result.exception, OutriderError):
        return str(result.exception)
    assert isinstance(result.exception, SystemExit), result.exception
    return result.output


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Enrolment]:
    with enrolment(tmp_path / "ca") as found:
        yield found


def test_an_authority_from_the_command_line(tmp_path: Path) -> None:
    """init, show, rotate in its three steps, revoke; each prints what there is."""
    made = document("authority", "ca", "init", tmp_path / "ca", "--host", "broker.example", "--device-days", 30)
    assert made["hosts"] == ["broker.example", "localhost", "127.0.0.1", "::1"]
    assert {one["purpose"] for one in made["issued"]} == {"server", "receiver"}
    assert document("authority", "ca", "show", tmp_path / "ca") == made
    assert "an authority already" in refusal("ca", "init", tmp_path / "ca")
    rotated = document("authority", "ca", "rotate", tmp_path / "ca")
    assert [root["generation"] for root in rotated["roots"]] == [1, 2]
    assert "one step at a time" in refusal("ca", "rotate", tmp_path / "ca", "--servers", "--retire")
    assert document("authority", "ca", "rotate", tmp_path / "ca", "--servers")["serving"] == 2
    retired = document("authority", "ca", "rotate", tmp_path / "ca", "--retire")
    assert [root["generation"] for root in retired["roots"]] == [2]
    text = run("ca", "show", tmp_path / "ca")
    assert retired["roots"][0]["pin"] in text.stdout
    assert "outrider ca init" in refusal("ca", "show", tmp_path / "nothing")


def test_servers_do_not_change_before_terminals_know(tmp_path: Path) -> None:
    """The second step of a rotation names who would be cut off."""
    ca = authority(tmp_path / "ca")
    pair(ca, tmp_path, "bus-17")
    document("authority", "ca", "rotate", tmp_path / "ca")
    assert "1 terminals do not know the new root yet and would be cut off: bus-17" in refusal(
        "ca", "rotate", tmp_path / "ca", "--servers"
    )
    assert document("authority", "ca", "rotate", tmp_path / "ca", "--servers", "--force")["serving"] == 2


def test_certificates_are_issued_and_revoked_by_hand(tmp_path: Path) -> None:
    """A request of openssl's, for a key that stays elsewhere; then it is worth nothing any more."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl: apt-get install openssl")
    authority(tmp_path / "ca")
    new = [
        openssl,
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=bus-17",
    ]
    subprocess.run([*new, "-keyout", "d.key", "-out", "d.csr"], cwd=tmp_path, check=True, capture_output=True)
    place = ("--csr", tmp_path / "d.csr", "-o", tmp_path / "d.pem")
    assert "names 'bus-17', not 'bus-18'" in refusal("ca", "issue", tmp_path / "ca", "bus-18", *place)
    document("authority", "ca", "issue", tmp_path / "ca", "bus-17", *place)
    roots = tmp_path / "ca" / "roots.pem"
    subprocess.run([openssl, "verify", "-CAfile", roots, tmp_path / "d.pem"], check=True, capture_output=True)
    document("authority", "ca", "issue", tmp_path / "ca", "--server", "--host", "b.example")
    document("authority", "ca", "issue", tmp_path / "ca", "--receiver")
    assert "give DEVICE with --csr" in refusal("ca", "issue", tmp_path / "ca", "bus-17")
    assert "no certificate request" in refusal(
        "ca", "issue", tmp_path / "ca", "bus-17", "--csr", tmp_path / "d.key", "-o", tmp_path / "x"
    )
    assert document("revoked", "ca", "revoke", tmp_path / "ca", "bus-17")["revoked"] == 1
    assert "no valid certificate" in refusal("ca", "revoke", tmp_path / "ca", "bus-17")


def test_a_terminal_from_token_to_renewal(tmp_path: Path, served: Enrolment) -> None:
    """token, enrol, show, renew, tokens, audit: one word of each for programs and for people."""
    ca, file, home = served.authority.directory, tmp_path / "bus.toml", ("--directory", tmp_path / "identity")
    assert "not enrolled" in refusal("identity", "show", *home)
    claim = document("claim", "enrol", "token", ca, "bus-17", "--url", served.url)
    assert document("claim_state", "enrol", "tokens", ca)["state"] == "unused"
    document("claim", "enrol", "token", ca, "bus-17", "--url", served.url, "-o", file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert claim["token"] not in file.read_text(encoding="ascii")  # the first one is worth nothing any more
    assert document("identity_outcome", "identity", "enrol", "--from", file, *home)["fresh"]
    assert not document("identity_outcome", "identity", "enrol", "--from", file, *home)["fresh"]
    assert document("claim_state", "enrol", "tokens", ca)["state"] == "used"
    shown = document("identity", "identity", "show", *home)
    assert shown["device"] == "bus-17"
    for lines in (run("identity", "show", *home).stdout,):
        assert "does not protect against: whoever has root here" in lines
        assert "current.pem" in lines
    renewed = document("identity_outcome", "identity", "renew", *home)
    assert renewed["fingerprint"] != shown["fingerprint"]
    assert document("identity", "identity", "show", *home)["unconfirmed"]
    lines = [json.loads(line) for line in run("enrol", "audit", ca, "--json").stdout.splitlines()]
    for line in lines:
        jsonschema.validate(line, {"$ref": "#/$defs/enrol_audit", "$defs": SCHEMA["$defs"]})
    assert [line["what"] for line in lines] == ["renewed", "enrol-granted", "token-made", "token-made"]


def test_what_is_wrong_with_a_provisioning_file_is_said(tmp_path: Path) -> None:
    """Missing, a directory, not text, not ours: one line with its name."""
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "other.toml").write_text("[uplink]\nhost = 'x'\n", encoding="ascii")
    for name, words in (
        ("missing.toml", "No such file"), (".", "directory"), ("bytes.toml", "not UTF-8"), ("other.toml", "unknown key")
    ):  # fmt: skip
        text = refusal("identity", "enrol", "--from", tmp_path / name, "--directory", tmp_path / "identity")
        assert words in text
    assert not (tmp_path / "identity").exists()


def test_bad_words_for_tokens(tmp_path: Path) -> None:
    """Device ids and addresses that could never work are refused before there is a token."""
    ca = authority(tmp_path / "ca", Wall()).directory
    assert "use 1 to 64 of" in refusal("enrol", "token", ca, "a b", "--url", "https://x")
    assert 'write "https://HOST:PORT"' in refusal("enrol", "token", ca, "bus", "--url", "http://x")
    assert run("enrol", "tokens", ca).stdout == ""
