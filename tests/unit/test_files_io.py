"""Files that are replaced as a whole."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from outrider.files_io import replacing


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    """What is no regular file is never replaced by one, whoever runs this."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text(encoding="ascii")))
    reader.start()
    with replacing(pipe) as path:
        path.write_text("through", encoding="ascii")
    reader.join()
    assert heard == ["through"]
    assert pipe.is_fifo()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file it names is replaced."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old", encoding="ascii")
    link.symlink_to(target)
    with replacing(link) as path:
        path.write_text("new", encoding="ascii")
    assert link.is_symlink()
    assert target.read_text(encoding="ascii") == "new"
