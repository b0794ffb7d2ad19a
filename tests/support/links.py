"""Links for tests: recorded answers of `ip`, and a fake `ip` that keeps links in a file and obeys."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from outrider.link.report import LinkReport, parse_links

RECORDED = Path(__file__).parents[1] / "unit" / "link" / "recorded"


def recorded(name: str) -> bytes:
    """What `ip -j -d -s link show dev X` printed on a real kernel."""
    return (RECORDED / f"{name}.json").read_bytes()


def recorded_report(name: str) -> LinkReport:
    (report,) = parse_links(recorded(name))
    return report


_SCRIPT = """#!{python} -SE
import json, os, sys
file, log = {file!r}, {log!r}
links = json.load(open(file))
words = [w for w in sys.argv[1:] if w not in ("-j", "-d", "-s")]
open(log, "a").write(" ".join(words) + "\\n")
def fail(text, code=2):
    sys.stderr.write(text + "\\n"); sys.exit(code)
if words[:2] == ["link", "show"]:
    names = [words[3]] if words[2:3] == ["dev"] else list(links)
    if names[0:1] and names[0] not in links:
        fail('Device "%s" does not exist.' % names[0], 1)
    print(json.dumps([links[n] for n in names]))
    sys.exit(0)
assert words[:3] == ["link", "set", "dev"], words
link = links.get(words[3]) or fail('Cannot find device "%s"' % words[3], 1)
data = link["linkinfo"]["info_data"]
rest = words[4:]
if rest == ["up"]:
    if not data.get("bittiming"): fail("RTNETLINK answers: Invalid argument")
    link["flags"] = ["NOARP", "UP", "LOWER_UP", "ECHO"]; link["operstate"] = "UP"; data["state"] = "ERROR-ACTIVE"
elif rest == ["down"]:
    link["flags"] = ["NOARP", "ECHO"]; link["operstate"] = "DOWN"; data["state"] = "STOPPED"
elif rest == ["type", "can", "restart"]:
    if link.get("no_restart"): fail("Error: Device doesn't support restart from Bus Off.")
    data["state"] = "ERROR-ACTIVE"; link["flags"] = ["NOARP", "UP", "LOWER_UP", "ECHO"]
else:
    if "UP" in link["flags"]: fail("RTNETLINK answers: Device or resource busy")
    options = dict(zip(rest[2::2], rest[3::2])); modes = set(data.get("ctrlmode", []))
    for key, value in options.items():
        if key == "bitrate": data["bittiming"] = {{"bitrate": int(value), "sample_point": "0.875"}}
        elif key == "dbitrate": data["data_bittiming"] = {{"bitrate": int(value), "sample_point": "0.750"}}
        elif key == "restart-ms": data["restart_ms"] = int(value)
        elif value in ("on", "off"): (modes.add if value == "on" else modes.discard)(key.upper())
        else: fail("unknown option " + key)
    if link.get("stays_active"): modes.discard("LISTEN-ONLY")
    data["ctrlmode"] = sorted(modes)
json.dump(links, open(file + ".new", "w")); os.replace(file + ".new", file)
"""


class FakeIp:
    """A program `ip` in ``folder`` (put it first on PATH). ``links`` by name, as `ip -j` prints them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._file, self._log = folder / "links.json", folder / "calls"
        self._log.touch()
        self.write({})
        program = folder / "ip"
        program.write_text(_SCRIPT.format(python=sys.executable, file=str(self._file), log=str(self._log)))
        program.chmod(0o755)

    def write(self, links: dict[str, Any]) -> None:
        self._file.write_text(json.dumps(links), encoding="utf-8")

    def read(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
        return document

    def add(self, recording: str, **changes: Any) -> None:
        """An interface in a recorded state; ``changes`` go into its top level."""
        (link,) = json.loads(recorded(recording))
        link |= changes
        self.write({**self.read(), link["ifname"]: link})

    def state(self, name: str, state: str) -> None:
        """Give a controller another error state."""
        links = self.read()
        links[name]["linkinfo"]["info_data"]["state"] = state
        if state == "BUS-OFF":
            links[name]["flags"] = ["NO-CARRIER", "NOARP", "UP"]
        self.write(links)

    def changes(self) -> list[str]:
        """The calls that were to change something."""
        return [line for line in self._log.read_text(encoding="utf-8").splitlines() if line.startswith("link set")]
