"""RadiusServer: the workers of a node, their shared ports, and the snapshot that they start from."""

import multiprocessing
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.util import get_temp_dir

import structlog

from aaa.eap.message import offered
from aaa.errors import ViewFileNotUsable, ViewNotThere
from aaa.limits.codes import Codes
from aaa.observe.exposition import serve as serve_metrics
from aaa.radius.limits import Limits
from aaa.radius.sockets import bind_shared, bind_stream
from aaa.radius.worker import Worker, serve_worker, view_folder
from aaa.radsec.tls import has_certificates
from aaa.view.derived import follow_derived
from aaa.view.lookup import View, snapshot
from aaa.view.models import state
from aaa.view.seal import Seal
from core.errors import first_line
from core.settings import Settings

_log = structlog.get_logger()
_WATCH = 0.5
_ROOM = 107 - len("/pymp-12345678/listener-12345678")


class RadiusServer:
    """Starts `settings.radius_workers` processes on shared ports and restarts one that dies.

    `in_process=True` runs one worker in threads of this process (tests, the demo). Ports may be 0; `auth_port` and
    `acct_port` say which were taken.
    """

    _body = staticmethod(serve_worker)

    def __init__(self, settings: Settings, limits: Limits | None = None, in_process: bool = False) -> None:
        self.settings = settings
        self._limits = limits or Limits()
        self._count = 1 if in_process else settings.radius_workers
        self._in_process = in_process
        offered(settings.radius_eap_methods)  # a misspelt one would end every worker
        auth = bind_shared(settings.radius_host, settings.radius_auth_port, self._count)
        acct = bind_shared(settings.radius_host, settings.radius_acct_port, self._count)
        # We keep the sockets: what arrives while a dead worker is replaced waits in them.
        self._sockets = list(zip(auth, acct, strict=True))
        self._streams = _streams(settings, self._count)
        self.radsec_port: int = self._streams[0].getsockname()[1] if self._streams else 0
        self.auth_port: int = auth[0].getsockname()[1]
        self.acct_port: int = acct[0].getsockname()[1]
        # One clean process imports what a worker needs and forks every worker: a node is up sooner, and its workers
        # share that memory. What they look up they share through the mapped base file.
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["aaa.radius.worker"])
        self._stop = threading.Event()
        self._workers: list[ForkServerProcess | threading.Thread] = []
        self._watch: threading.Thread | None = None
        self._here: Worker | None = None
        self._stop_metrics: Callable[[], None] | None = None

    @property
    def workers(self) -> list[str]:
        """Names under which the workers acknowledge sequences."""
        return [f"{self.settings.node}-{index}" for index in range(self._count)]

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers; none in process."""
        return [one.pid for one in self._workers if isinstance(one, ForkServerProcess) and one.pid]

    @property
    def worker(self) -> Worker:
        """The one worker of a server in process; what it counted can be asked."""
        if self._here is None:
            raise LookupError("the workers are processes, or not started")
        return self._here

    def start(self) -> "RadiusServer":
        """Make a snapshot if there is a database, then serve."""
        Seal.of(self.settings.home)
        Codes.of(self.settings.home)  # a damaged key is told here, not by workers that end
        self._stop_metrics = serve_metrics(self.settings)
        self._snapshot()
        if not self._in_process:
            _keep_paths_short()
        self._workers = [self._launch(index) for index in range(self._count)]
        if not self._in_process:
            self._watch = threading.Thread(target=self._replace_dead, daemon=True)
            self._watch.start()
        return self

    def stop(self) -> None:
        """Let every worker commit what it has, and end."""
        self._stop.set()
        if self._stop_metrics is not None:
            self._stop_metrics()
        if self._watch is not None:
            self._watch.join(timeout=5)
        for worker in self._workers:
            if isinstance(worker, ForkServerProcess):
                worker.terminate()  # SIGTERM: it commits what it has
        for worker in self._workers:
            worker.join(timeout=20)
        for worker in self._workers:
            if isinstance(worker, ForkServerProcess) and worker.is_alive():
                worker.kill()
        for pair in (*self._sockets, self._streams):
            for one in pair:
                one.close()

    def __enter__(self) -> "RadiusServer":
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _launch(self, index: int) -> ForkServerProcess | threading.Thread:
        if self._in_process:
            self._here = worker = Worker(
                self.settings, index, self._stop, self._sockets[index], self._limits, self._stream(index)
            )
            made: ForkServerProcess | threading.Thread = threading.Thread(target=worker.run, daemon=True)
        else:
            ours = (self._sockets[index], self._limits, self._stream(index), os.getpid())
            args = (self.settings, index, *ours)
            made = self._context.Process(target=self._body, args=args, daemon=True)
        made.start()
        return made

    def _stream(self, index: int) -> socket.socket | None:
        return self._streams[index] if self._streams else None

    def _replace_dead(self) -> None:
        while not self._stop.wait(_WATCH):
            for index, worker in enumerate(self._workers):
                if not worker.is_alive() and not self._stop.is_set():
                    _log.error("a RADIUS worker died and is replaced", worker=self.workers[index])
                    self._workers[index] = self._launch(index)

    def _snapshot(self) -> None:
        """A base file, so that workers share it instead of each holding the records. One that is there will do:
        nobody waits for the database, and what changed since is followed.
        """
        try:
            View.load(view_folder(self.settings))
            return
        except ViewNotThere as error:
            if isinstance(error.__cause__, ViewFileNotUsable):
                told = "the snapshot is not used, and nobody is answered before the database is read"
                _log.error(told, error=str(error.__cause__))
        try:
            db = follow_derived(self.settings)
            try:
                with db.read() as conn:
                    ours = View(None, fingerprint=Seal.of(self.settings.home).fingerprint)
                    ours.check_seal(state(conn, "seal"))
                snapshot(db, view_folder(self.settings))
            finally:
                db.close()
        except Exception as error:
            _log.warning("no new snapshot: starting from the last", error=first_line(error))


def _keep_paths_short() -> None:
    """The process that forks our workers listens on a Unix socket below the folder for temporary files, whose path has
    107 octets at most: where TMPDIR is longer than leaves room for that, it does so below /tmp.
    """
    if len(os.fsencode(tempfile.gettempdir())) > _ROOM:
        before, tempfile.tempdir = tempfile.tempdir, "/tmp"  # noqa: S108 (a private folder is made in it)
        try:
            get_temp_dir()  # made once a process
        finally:
            tempfile.tempdir = before


def _streams(settings: Settings, count: int) -> list[socket.socket]:
    """Sockets for RadSec, where there are certificates for it."""
    if not has_certificates(settings.home):
        return []
    return bind_stream(settings.radius_host, settings.radius_radsec_port, count)
