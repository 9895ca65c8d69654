"""Child processes: one that cannot start ends the service, one that dies later is replaced."""

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess, Process

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# Nothing had to be replaced for so long: what dies now has not died of the same again and again.
CALM_SECONDS = 120.0
_POLL_SECONDS = 0.5
# How long to wait for the answer of a process that may be starting still, or hang: signals wait for
# that, too.
_READY_SECONDS = 1.0
# How long a companion may take to end before it is killed.
_END_SECONDS = 3
# And the server processes, which answer what they have begun first (`app.server`).
_ALL_END_SECONDS = 5.5


class Pause:
    """Between replacements: none before the first, then longer and longer."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._until

    def begin(self) -> None:
        now = time.monotonic()
        grown = 0.0 if now > self._until + CALM_SECONDS else self._seconds * 2
        self._seconds = min(max(grown, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        self._until = now + self._seconds


class Supervisor(Multiprocess):
    """Runs the server processes; says when all serve. `failed`: one of them could not start.

    Uvicorn's own ends everything with status 0 when one cannot start, also when that one takes the
    place of another; it starts one that dies early again and again without a pause, and kills one
    that is slow to start.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        on_started: Callable[[], None],
    ) -> None:
        super().__init__(config, sockets)
        self.failed = False
        self._on_started = on_started
        self._started = False
        self._serving = WeakSet[Process]()
        # How often in a row they did not answer.
        self._unanswered = WeakKeyDictionary[Process, int]()
        self._pause = Pause()

    def keep_subprocess_alive(self) -> None:
        for index, process in enumerate(self.processes):
            if self._lives(process):
                continue
            if self.should_exit.is_set() or self.signal_queue:
                return  # it ended by the signal that ends us
            process.kill()  # one that hangs
            process.join()
            if not self._started:
                logger.error("a server process could not start (status %s)", process.exitcode)
                self.failed = True
                self.should_exit.set()
                return
            if self._pause.is_over:
                self._replace(index)
        if not self._started and self._serving.issuperset(self.processes):
            self._started = True
            self._on_started()

    def join_all(self) -> None:
        """Uvicorn's own waits for one that hangs for ever."""
        deadline = time.monotonic() + _ALL_END_SECONDS
        for process in self.processes:
            process.process.join(max(0.0, deadline - time.monotonic()))
            if process.process.is_alive():
                logger.error("a server process did not end; it is killed")
                process.kill()
                process.join()

    def _lives(self, process: Process) -> bool:
        """Not if it is gone, nor if it served once and hangs now."""
        if not process.process.is_alive():
            return False
        if process in self._serving:
            missed = 0 if _answers(process) else self._unanswered.get(process, 0) + 1
            self._unanswered[process] = missed
            return missed * _READY_SECONDS < self.config.timeout_worker_healthcheck
        if process.is_ready(_READY_SECONDS):
            self._serving.add(process)
        return True

    def _replace(self, index: int) -> None:
        status = self.processes[index].exitcode
        logger.warning("a server process died (status %s); another takes its place", status)
        self._pause.begin()
        self.processes[index] = Process(self.config, self.sockets)
        self.processes[index].start()


def _answers(process: Process) -> bool:
    """An answer that came too late for the question before is one, too."""
    came = False
    with contextlib.suppress(EOFError, OSError):
        while process.parent_conn.poll():
            process.parent_conn.recv()
            came = True
    return came or process.ping(_READY_SECONDS)


class Companion:
    """A process beside the server, under the same rules. `failed`: it could not start.

    `target` gets the arguments, and a connection to send anything on once it serves.
    """

    def __init__(self, name: str, target: Callable[..., None], *arguments: Any) -> None:
        self._name = name
        self._target = target
        self._has_started, started = multiprocessing.Pipe(duplex=False)
        self._arguments = (*arguments, started)
        self._ending = threading.Event()
        self._watching = threading.Thread(target=self._watch, name=f"watch {name}", daemon=True)
        self._process = self._start()
        self.failed = False

    def watch(self) -> None:
        """From now on it is replaced; SIGTERM to ourselves if it could not start."""
        self._watching.start()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL."""
        self._ending.set()
        if self._watching.is_alive():
            self._watching.join()
        self._process.terminate()
        self._process.join(_END_SECONDS)
        self._process.kill()

    def _start(self) -> multiprocessing.process.BaseProcess:
        process = multiprocessing.get_context("spawn").Process(
            target=self._target, args=self._arguments, name=self._name
        )
        process.start()
        return process

    def _watch(self) -> None:
        pause = Pause()
        while not self._ending.wait(_POLL_SECONDS):
            status = self._process.exitcode
            if status == 0:
                return  # it was told to end, as by Ctrl-C
            if status is None or not pause.is_over:
                continue
            if not self._has_started.poll():
                logger.error("the %s could not start (status %s)", self._name, status)
                self.failed = True
                os.kill(os.getpid(), signal.SIGTERM)
                return
            logger.warning("the %s died (status %s); it is started again", self._name, status)
            pause.begin()
            self._process = self._start()
