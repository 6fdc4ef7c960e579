"""`trunkline serve`: the parts of one installation as threads of this process, RADIUS workers as their own."""

import threading
from collections.abc import Callable

from aaa.accounting import retention
from aaa.radius.worker import view_folder
from cli.installation import Installation
from core import logs
from core.errors import TrunklineError
from core.structs import make_ready
from crm.changes import job as changes_job
from intents import maintenance
from intents.forge import Forge

_IDLE = 0.02
_AFTER_FAILURE = 1.0
_FORGE = 5.0
_SCHEDULE = 60.0
_LIMITS = 1.0


class Serving:
    """Starts the roles of the settings; `stop()` ends them in the reverse order of what they feed."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._api: object | None = None
        self._has_radius = False
        self._port = 0

    def start(self) -> "Serving":
        """Start every role; returns when RADIUS and the API listen."""
        one, roles = self.installation, self.installation.settings.roles
        if "radius" in roles and self._has_snapshot():
            self._start_radius()  # it answers from what it knew, before anything else is read
        if "indexer" in roles:
            self._index()
        if "radius" in roles and not self._has_radius:
            self._start_radius()
        if "committer" in roles:
            self._loop("committer", one.committer.run_once)
            if one.settings.forge_url:
                self._loop("forge", self._sync_forge)
        if "indexer" in roles:
            self._loop("indexer", self._index)
        if "worker" in roles:
            maintenance.register(one.settings)
            retention.register(one.settings)
            self._loop("worker", one.worker.run_once)
            self._loop("schedule", self._schedule)
            self._loop("limits", self._keep_limits)
        if "reconciler" in roles:
            self._thread("reconciler", lambda: one.reconciler.serve(self._stop))
        if "api" in roles:
            self._start_api()
        return self

    def stop(self) -> None:
        """End everything; what is queued stays queued."""
        self._stop.set()
        if self._api is not None:
            self._api.should_exit = True  # type: ignore[attr-defined]
        for thread in self._threads:
            thread.join(timeout=30)
        if self._has_radius:
            self.installation.radius.stop()

    def __enter__(self) -> "Serving":
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the console is."""
        settings = self.installation.settings
        return f"http://{settings.api_host}:{self._port}/"

    def login_url(self) -> str:
        """The console with a way in for an engineer that works once and for a short time."""
        from api.login.links import link

        return self.url.rstrip("/") + link(self.installation.context, "engineer", "admin")

    def _index(self) -> int:
        return len(self.installation.indexer.run_once()) + self.installation.view_builder.run_once()

    def _has_snapshot(self) -> bool:
        return (view_folder(self.installation.settings) / "view.base").exists()

    def _start_radius(self) -> None:
        self.installation.radius.start()
        self._has_radius = True

    def _sync_forge(self) -> int:
        """A round with the forge every few seconds; its webhook only makes the next one come sooner."""
        Forge(self.installation.settings, self.installation.db, self.installation.repo).sync_once()
        self._stop.wait(_FORGE)
        return 1

    def _schedule(self) -> int:
        """What has to be done from time to time, as jobs."""
        maintenance.schedule(self.installation.db)
        retention.schedule(self.installation.db)
        changes_job.schedule(self.installation.db)
        self._stop.wait(_SCHEDULE)
        return 1

    def _keep_limits(self) -> int:
        """Limits follow time and counters; what changed nothing waits for a second."""
        if not self.installation.limit_keeper.run_once():
            self._stop.wait(_LIMITS)
        return 1

    def _loop(self, name: str, step: Callable[[], int]) -> None:
        self._thread(name, lambda: self._repeat(name, step))

    def _repeat(self, name: str, step: Callable[[], int]) -> None:
        while not self._stop.is_set():
            try:
                if not step():
                    self._stop.wait(_IDLE)
            except TrunklineError as error:
                logs.get(name).warning("waits", why=str(error))
                self._stop.wait(_AFTER_FAILURE)
            except Exception as error:
                logs.get(name).error("broke and goes on", error=repr(error))
                self._stop.wait(_AFTER_FAILURE)

    def _thread(self, name: str, target: Callable[[], None]) -> None:
        make_ready()
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _start_api(self) -> None:
        import uvicorn

        from api.app import create_app
        from cli.sockets import listening

        settings = self.installation.settings
        app = create_app(self.installation.context, self.installation.repo)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        socket = listening(settings.api_host, settings.api_port)
        self._port = socket.getsockname()[1]
        self._api = server
        self._thread("api", lambda: server.run(sockets=[socket]))
