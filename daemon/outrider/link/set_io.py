"""How links are set: a seam, the program `ip` behind it (needs CAP_NET_ADMIN), and a fake that notes what was asked.

The daemon holds a ``HelperClient`` (helper_client_io.py) at most; only the helper and a person's own command hold this.
"""

from __future__ import annotations

from typing import Protocol

from outrider.errors import LinkError
from outrider.link.report import ControllerState, LinkReport
from outrider.link.settings import LinkDown, LinkRequest, LinkUp, RestartLink, SetLink, refusal, set_arguments
from outrider.link.state_io import IpLinkState, LinkState, complaint, run_ip


class LinkSetter(Protocol):
    """Carries out a request."""

    def request(self, request: LinkRequest) -> None:
        """Returns when it is done. LinkError says why it is not."""
        ...


class IpLinkSetter:
    """Runs `ip`. ``allow_active``: may bring up a link that acknowledges and can send."""

    def __init__(self, state: LinkState | None = None, *, allow_active: bool = False) -> None:
        self._state: LinkState = state or IpLinkState()
        self._allow_active = allow_active

    def request(self, request: LinkRequest) -> None:
        report = self._state.read(request.device)
        if report is None:
            raise LinkError(f"there is no interface {request.device}")
        why_not = refusal(request, report, allow_active=self._allow_active)
        if why_not is not None:
            raise LinkError(why_not)
        if isinstance(request, SetLink):
            self._set(request, report)
        elif isinstance(request, RestartLink):
            self._restart(request, report)
        elif isinstance(request, LinkUp):
            _ip("link", "set", "dev", request.device, "up")
        else:
            assert isinstance(request, LinkDown)
            _ip("link", "set", "dev", request.device, "down")

    def _set(self, request: SetLink, report: LinkReport) -> None:
        """Down, set, up. What cannot be set leaves the link down, and says so."""
        arguments = set_arguments(request, report)
        _ip("link", "set", "dev", request.device, "down")
        try:
            _ip(*arguments)
            _ip("link", "set", "dev", request.device, "up")
        except LinkError as err:
            raise LinkError(f"{err}; {request.device} is left down") from None

    def _restart(self, request: RestartLink, report: LinkReport) -> None:
        """As the driver can: some restart on demand, the others are taken down and up."""
        if report.state is not ControllerState.BUS_OFF:
            raise LinkError(f"{request.device} is not bus-off")
        if report.restart_ms:
            raise LinkError(f"{request.device}: the kernel restarts it after {report.restart_ms} ms")
        done = run_ip("link", "set", "dev", request.device, "type", "can", "restart")
        if done.returncode != 0:
            _ip("link", "set", "dev", request.device, "down")
            _ip("link", "set", "dev", request.device, "up")


class RecordingLinkSetter:
    """A fake: notes requests; fails with ``error`` while it is set."""

    def __init__(self) -> None:
        self.requests: list[LinkRequest] = []
        self.error: str | None = None

    def request(self, request: LinkRequest) -> None:
        self.requests.append(request)
        if self.error is not None:
            raise LinkError(self.error)


def _ip(*arguments: str) -> None:
    done = run_ip(*arguments)
    if done.returncode != 0:
        raise LinkError(f"{arguments[3]}: {complaint(done)}")
