"""What an identity costs on the wire: enrolment, a renewal, and the TLS handshake of one connection.

Bytes of TCP payload, both directions, counted by a relay between the two ends; IP and TCP headers are not in them.
Prints one JSON document.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from outrider.trust.authority import DAY_S
from outrider.trust.certificates import subject, utc
from outrider.trust.client_io import EstClient
from outrider.trust.enrol_io import enrol, renew
from outrider.trust.identity_io import DeviceIdentity

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.identity import Wall, enrolment

DEVICE_DAYS = 365
SIGNER = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Relay:
    """A TCP relay on loopback that counts what passes, both ways."""

    def __init__(self, target: int) -> None:
        self.bytes = 0
        self._target = target
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _address = self._server.accept()
            far = socket.create_connection(("127.0.0.1", self._target))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                with self._lock:
                    self.bytes += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def enrolment_and_renewal() -> dict[str, int]:
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        with enrolment(directory / "ca", Wall(time.time())) as served:
            relay = Relay(served.port)
            identity = DeviceIdentity(directory / "identity")
            client = EstClient(f"https://localhost:{relay.port}")
            enrol(identity, served.provisioning("bus-17"), client)
            enrolled = relay.bytes
            renew(identity, client)
            renewed = relay.bytes - enrolled
    return {
        "enrolment_bytes": enrolled,
        "renewal_bytes": renewed,
        f"renewal_bytes_a_month_at_{DEVICE_DAYS}_days": round(renewed * 30 / (DEVICE_DAYS * 2 / 3)),
    }


def self_signed(directory: Path, name: str, key: SIGNER) -> Path:
    """Key and certificate for localhost: sizes are those of a chain of one."""
    now_s = time.time()
    builder = x509.CertificateBuilder().subject_name(subject(name)).issuer_name(subject(name))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(utc(now_s - DAY_S)).not_valid_after(utc(now_s + DAY_S))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    path = directory / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def handshake(server_file: Path, client_file: Path) -> int:
    """Bytes of a mutual TLS 1.3 handshake and a clean end, one byte of data in between."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(server_file)
    server.load_verify_locations(client_file)
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=server_file)
    client.load_cert_chain(client_file)
    listener = socket.create_server(("127.0.0.1", 0))
    relay = Relay(int(listener.getsockname()[1]))

    def serve() -> None:
        raw, _address = listener.accept()
        with server.wrap_socket(raw, server_side=True) as secure:
            secure.sendall(b"x")
            secure.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    raw = socket.create_connection(("127.0.0.1", relay.port))
    with client.wrap_socket(raw, server_hostname="localhost") as secure:
        secure.recv(1)
    thread.join()
    return relay.bytes


def handshakes() -> dict[str, int]:
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        found = {}
        for name, make in (
            ("p256", lambda: ec.generate_private_key(ec.SECP256R1())),
            ("rsa2048", lambda: rsa.generate_private_key(65537, 2048)),
        ):
            files = [self_signed(directory, f"{name}-{end}", make()) for end in ("server", "client")]
            found[f"{name}_mutual_tls13_bytes"] = handshake(*files)
    return found


if __name__ == "__main__":
    print(json.dumps(enrolment_and_renewal() | handshakes()))
