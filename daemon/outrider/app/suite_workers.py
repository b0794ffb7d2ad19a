"""Processes that run drives beside each other, and how they end.

Rule: only the process that started them ends them (SIGTERM). Ctrl-C reaches every process of a terminal; the workers
leave it to the first one, which stops them all. What a worker had open (a daemon, a temporary folder) is closed
before it goes, and it takes no other drive.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")
STOPPED: Final = 128 + signal.SIGTERM


@contextmanager
def started(count: int, function: Callable[[Task], Answer], tasks: list[Task]) -> Iterator[list[Future[Answer]]]:
    """The answers to ``tasks``, in order. When the block ends early, drives that run are stopped and the rest is not
    begun."""
    context = multiprocessing.get_context("spawn")  # no copies of threads, sockets or a terminal's state
    before = {process.pid for process in multiprocessing.active_children()}
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin)
    try:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until a worker is ready to leave it alone
        try:
            futures = [pool.submit(_work, function, task) for task in tasks]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield futures
    except BaseException:
        for process in multiprocessing.active_children():
            if process.pid not in before:
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """In a new worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, _stop)


def _stop(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: what is being closed is closed to the end
    raise SystemExit(STOPPED)


def _work(function: Callable[[Task], Answer], task: Task) -> Answer:
    try:
        return function(task)
    finally:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:  # the pool would take the next task
            os._exit(STOPPED)
