"""One line on this month's data, for ``outrider status``; without the libraries that the page needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outrider.i18n import _


def data_line(data: Mapping[str, Any]) -> str:
    """Used, limit, plan and why, what is held."""
    used, limit = data["used_bytes"] / 1e6, data["limit_bytes"]
    month = data["month"] or _("month not known yet")
    parts = [
        _("{used:.1f} MB in {month}").format(used=used, month=month)
        if limit is None
        else _("{used:.1f} of {limit:.1f} MB in {month}").format(used=used, limit=limit / 1e6, month=month)
    ]
    rules = data["rules"]
    parts.append(_("plan {plan} ({why})").format(plan=rules["plan"], why=rules["why"]))
    if rules["held"] is not None:
        parts.append(_("held back: {reason}").format(reason=rules["held"]))
    if data.get("error"):
        parts.append(_("not kept on flash: {error}").format(error=data["error"]))
    return ", ".join(parts)
