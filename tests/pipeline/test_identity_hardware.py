"""A key inside a PKCS#11 token (SoftHSM), owned by a local TLS proxy: docs/operate/identity.md, word for word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.broker import free_port
from tests.support.identity import Mqtt, secure_broker
from tests.support.terminal import outrider

DOC = Path(__file__).parents[2] / "docs" / "operate" / "identity.md"
MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PROGRAMS = ("stunnel", "softhsm2-util", "pkcs11-tool", "openssl", "mosquitto_sub")
TOKEN = """
directories.tokendir = {0}/tokens
objectstore.backend = file
"""


def needed() -> None:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    engines = list(Path("/usr/lib").glob("*/engines-3/pkcs11.so"))
    if missing or not MODULE.exists() or not engines:
        pytest.skip(
            f"needs {', '.join(missing) or 'an engine'}: "
            "apt-get install stunnel4 softhsm2 opensc libengine-pkcs11-openssl mosquitto-clients"
        )


def proxy_config(broker: int, accept: int, directory: Path, ca: Path) -> str:
    """The example of the docs, with this test's places and ports."""
    (example,) = re.findall(r"```\n; /etc/stunnel/outrider.conf\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    for old, new in (
        ("127.0.0.1:1883", f"127.0.0.1:{accept}"),
        ("broker.example:8883", f"localhost:{broker}"),
        ("checkHost = broker.example", "checkHost = localhost"),
        ("/var/lib/outrider/device.pem", str(directory / "device.pem")),
        ("/var/lib/outrider/roots.pem", str(ca / "roots.pem")),
    ):
        assert old in example
        example = example.replace(old, new)
    return f"foreground = yes\npid =\n{re.sub(' +;.*', '', example)}"


def test_a_key_that_never_leaves_its_token_opens_the_door(tmp_path: Path) -> None:
    """The key is made in the token; certificate by request; the proxy signs with it; the broker sees the device."""
    needed()
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(TOKEN.format(tmp_path), encoding="ascii")
    env = {**os.environ, "SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf")}

    def do(*command: object, **more: str) -> None:
        done = subprocess.run(
            [str(c) for c in command], cwd=tmp_path, env=env | more, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    do("softhsm2-util", "--init-token", "--free", "--label", "outrider", "--pin", "1234", "--so-pin", "4321")
    do("pkcs11-tool", "--module", MODULE, "--login", "--pin", "1234", "--token-label", "outrider",
       "--keypairgen", "--key-type", "EC:prime256v1", "--label", "device", "--id", "01")  # fmt: skip
    (tmp_path / "openssl.cnf").write_text(
        "openssl_conf = a\n[a]\nengines = b\n[b]\npkcs11 = c\n[c]\nengine_id = pkcs11\n"
        f"MODULE_PATH = {MODULE}\nPIN = 1234\ninit = 0\n[req]\ndistinguished_name = d\n[d]\n",
        encoding="ascii",
    )
    do("openssl", "req", "-new", "-engine", "pkcs11", "-keyform", "engine", "-key",
       "pkcs11:token=outrider;object=device;type=private", "-subj", "/CN=bus-17", "-out", "device.csr",
       OPENSSL_CONF=str(tmp_path / "openssl.cnf"))  # fmt: skip
    with secure_broker(tmp_path / "ca") as broker:
        ca, accept = broker.authority.directory, free_port()
        do(*outrider("ca", "issue", ca, "bus-17", "--csr", "device.csr", "-o", "device.pem"))
        (tmp_path / "stunnel.conf").write_text(proxy_config(broker.port, accept, tmp_path, ca), encoding="utf-8")
        with (tmp_path / "stunnel.log").open("wb") as log:
            proxy = subprocess.Popen(["stunnel", "stunnel.conf"], cwd=tmp_path, env=env, stdout=log, stderr=log)
            try:
                heard = listen(accept, proxy, tmp_path / "stunnel.log")
                with Mqtt(
                    ca / "roots.pem", broker.receiver_port, ca / "receiver.pem", "ingest", ca / "receiver.key"
                ) as ingest:
                    while heard.poll() is None:
                        ingest.publish("t/bus-17/a")
                assert heard.communicate()[0].strip() == b"t/bus-17/a"
            finally:
                proxy.terminate()
                proxy.wait(60)
    assert not list(tmp_path.glob("*.key"))


def listen(port: int, proxy: subprocess.Popen[bytes], log: Path) -> subprocess.Popen[bytes]:
    """A plain MQTT client behind the proxy that waits for one message to the device."""
    deadline = time.monotonic() + 60
    while "Configuration successful" not in log.read_text(encoding="utf-8", errors="replace"):
        assert proxy.poll() is None, log.read_text(encoding="utf-8", errors="replace")
        assert time.monotonic() < deadline
        time.sleep(0.02)
    command = [
        "mosquitto_sub",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-i",
        "x",
        "-t",
        "t/bus-17/a",
        "-C",
        "1",
        "-W",
        "60",
    ]
    return subprocess.Popen([*command, "-F", "%t"], stdout=subprocess.PIPE)
