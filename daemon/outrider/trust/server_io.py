"""``outrider enrol serve``: the enrolment desk over HTTPS (aiohttp), for clients nobody knows yet.

Bounds: bodies of MAX_REQUEST_BYTES, connections of LIFE_S seconds and MAX_CONNECTIONS at once, TLS handshakes of
HANDSHAKE_S. Client certificates are optional in TLS and checked up to a trusted root; their time is the desk's matter,
since a terminal that stood too long must still be able to renew.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiohttp import web

from outrider.errors import TrustError
from outrider.trust.authority_io import Authority
from outrider.trust.client_io import EST
from outrider.trust.desk_io import Answer, EnrolmentDesk, Peer
from outrider.trust.identity_io import NO_CHECK_TIME
from outrider.trust.requests import MAX_REQUEST_BYTES
from outrider.trust.settings import PATH

HANDSHAKE_S: Final = 10.0
BODY_S: Final = 10.0
LIFE_S: Final = 30.0
MAX_CONNECTIONS: Final = 256
LOOK_S: Final = 1.0  # between looks at connections
RELOAD_S: Final = 60.0  # between looks at the files of the authority

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.Response]]


def server_context(authority: Authority) -> ssl.SSLContext:
    """TLS of the enrolment server. OSError or TrustError for files that cannot be used; they name nothing secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= NO_CHECK_TIME
    load_files(context, authority)
    return context


def load_files(context: ssl.SSLContext, authority: Authority) -> None:
    """What new connections are served with; also again, after the files have changed."""
    pem = authority.directory / "server.pem"
    try:
        context.load_cert_chain(pem, authority.directory / "server.key")
    except ssl.SSLError:  # one of the two was written, then power was lost
        hint = f"outrider ca issue {authority.directory} --server"
        raise TrustError(f"is damaged, or not of server.key; make both anew: {hint}", path=pem) from None
    context.load_verify_locations(authority.directory / "roots.pem")


class EnrolmentServer:
    """Listens between ``start`` and ``stop``, both on one event loop."""

    def __init__(
        self, desk: EnrolmentDesk, host: str, port: int, *, life_s: float = LIFE_S, look_s: float = LOOK_S
    ) -> None:
        self._desk = desk
        self._host = host
        self._port = port
        self._life_s = life_s
        self._look_s = look_s
        self._pool = ThreadPoolExecutor(1, "enrolment-desk")  # the desk is not made for several
        self._context = server_context(desk.authority)
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.closed_late = 0  # connections that outlived their time, or were too many

    async def start(self) -> int:
        """Listen; the port. OSError when it is taken."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_get(EST + "cacerts", self._handle(lambda _r, peer, _b: self._desk.cacerts(peer)))
        app.router.add_post(EST + "simpleenroll", self._handle(self._enrol))
        app.router.add_post(EST + "simplereenroll", self._handle(lambda _r, p, b: self._desk.simple_reenrol(p, b)))
        app.router.add_get(PATH, self._handle(lambda _r, peer, _b: self._desk.terminal(peer)))
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=5.0, handle_signals=False)
        await self._runner.setup()
        assert self._runner.server is not None
        self._server = await asyncio.get_running_loop().create_server(
            self._runner.server,
            self._host,
            self._port,
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=5.0,
            backlog=128,
        )
        self._tasks = [asyncio.create_task(self._watch(self._runner.server)), asyncio.create_task(self._reload())]
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            for connection in self._runner.server.connections if self._runner.server else ():
                connection.force_close()
            await self._runner.cleanup()
        self._pool.shutdown()

    # ---- one request ------------------------------------------------------------------------------

    def _enrol(self, request: web.Request, peer: Peer, body: bytes) -> Answer:
        return self._desk.simple_enrol(peer, request.headers.get("Authorization"), body)

    def _handle(self, decide: Callable[[web.Request, Peer, bytes], Answer]) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            try:
                body = await asyncio.wait_for(request.read(), BODY_S)
            except TimeoutError:
                return web.Response(status=408, text="the request took too long\n")
            peer = _peer(request)
            answer = await asyncio.get_running_loop().run_in_executor(self._pool, decide, request, peer, body)
            return _response(answer)

        return handle

    # ---- keeping house ----------------------------------------------------------------------------

    async def _watch(self, server: web.Server) -> None:
        """An exchange takes a second; what lives longer than ``life_s`` is not one."""
        since: dict[Any, float] = {}
        while True:
            await asyncio.sleep(self._look_s)
            now = asyncio.get_running_loop().time()
            since = {connection: since.get(connection, now) for connection in server.connections}
            for number, (connection, start) in enumerate(list(since.items())):
                if now - start > self._life_s or number >= MAX_CONNECTIONS:
                    self.closed_late += 1
                    del since[connection]
                    connection.force_close()

    async def _reload(self) -> None:
        """A new server certificate or root is used without a restart; certificates of servers are renewed in time."""
        stamps = _stamps(self._desk.authority)
        while True:
            await asyncio.sleep(RELOAD_S)
            try:
                now = _stamps(self._desk.authority)
                if now != stamps:
                    load_files(self._context, self._desk.authority)
                    self._desk.authority = Authority(self._desk.authority.directory, self._desk.wall_s)
                    stamps = now
                for name in await asyncio.get_running_loop().run_in_executor(self._pool, self._desk.authority.tend):
                    log.info("enrolment: the %s's certificate was renewed", name)
            except (OSError, ValueError) as err:
                log.warning("enrolment: the authority's files cannot be used: %s", err)


def _peer(request: web.Request) -> Peer:
    transport = request.transport
    secure = None if transport is None else transport.get_extra_info("ssl_object")
    certificate = None if secure is None else secure.getpeercert(binary_form=True)
    return Peer(request.remote or "unknown", certificate)


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.kind}
    if answer.kind.startswith("application/pkcs7"):
        headers["Content-Transfer-Encoding"] = "base64"
    if answer.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="outrider"'
    if answer.retry_s is not None:
        headers["Retry-After"] = str(answer.retry_s)
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def _stamps(authority: Authority) -> tuple[int, ...]:
    names = ("server.pem", "server.key", "roots.pem", "authority.json")
    return tuple((authority.directory / name).stat().st_mtime_ns for name in names)
