"""The three pages of a worker, on Faust's web server and with none of Faust's own pages."""

import asyncio
import os
from typing import Any, ClassVar, Final

from faust.types import AppT
from faust.web.drivers.aiohttp import Web
from prometheus_client import CONTENT_TYPE_LATEST

from streams.failures import OutsideFailure
from streams.settings import Settings
from streams.watch.health import why_unhealthy, why_unready
from streams.watch.readings import Watched, exposition, fetch_ages_s

_OK: Final = 200
_UNAVAILABLE: Final = 503


class Pages(Web):
    """`/healthz`, `/readyz` and `/metrics`; every other address is not found."""

    # Faust puts them on a server of its own making, which is never started (0.15); were they put
    # here, they would show tables and services, and at `/` that all is well.
    default_blueprints: ClassVar[Any] = ()
    production_blueprints: ClassVar[Any] = ()
    debug_blueprints: ClassVar[Any] = ()
    optional_blueprints: ClassVar[Any] = ()

    def __init__(self, app: AppT, settings: Settings, watched: Watched) -> None:
        """Prepare the pages.

        Args:
            app: what they are the pages of.
            settings: where to listen, and when a lane counts as stalled.
            watched: what they tell of.
        """
        super().__init__(app)
        self._settings = settings
        self._watched = watched
        router = self.web_app.router
        router.add_get("/healthz", self._healthz)
        router.add_get("/readyz", self._readyz)
        router.add_get("/metrics", self._metrics)

    async def start_server(self) -> None:
        """Listen.

        Raises:
            OutsideFailure: The port cannot be opened.
        """
        try:
            await super().start_server()
        except OSError as error:
            host, port = self._settings.web_host, self._settings.web_port
            # asyncio's own text names the address once more.
            why = os.strerror(error.errno) if error.errno else type(error).__name__
            raise OutsideFailure(
                f"port {port} on {host} cannot be opened: {why};"
                " set RINGFENCE_WEB_PORT or RINGFENCE_WEB_HOST"
            ) from error

    async def _healthz(self, _request: object) -> Any:  # noqa: ANN401 - Faust's response
        now_s = asyncio.get_running_loop().time()
        why = why_unhealthy(self._watched.intake, now_s, self._watched.stalled_after_s)
        return self._verdict(why)

    async def _readyz(self, _request: object) -> Any:  # noqa: ANN401 - Faust's response
        intake = self._watched.intake
        ages_s = fetch_ages_s(intake).values()
        return self._verdict(why_unready(intake, ages_s, self._watched.stalled_after_s))

    def _verdict(self, why: str | None) -> Any:  # noqa: ANN401 - Faust's response
        status = _OK if why is None else _UNAVAILABLE
        return self.text(f"{why or 'ok'}\n", status=status, content_type="text/plain")

    async def _metrics(self, _request: object) -> Any:  # noqa: ANN401 - Faust's response
        now_s = asyncio.get_running_loop().time()
        body = await exposition(self._watched, now_s)
        return self.bytes(body, headers={"Content-Type": CONTENT_TYPE_LATEST})
