"""Our server in a thread of this process, on a free port of loopback."""

import asyncio
import threading
from contextlib import contextmanager

from adp_ros.serving.serve_settings import ServeSettings
from adp_ros.serving.server import PolicyServer


class Running:
    """A running server.

    Attributes:
        url: ws://127.0.0.1:PORT.
        records: Record of each window.
        lines: What it told people.
        server: The server itself.
    """

    def __init__(self, served, settings):
        self.records, self.lines = [], []
        self.server = PolicyServer(served, settings, self.records.append, self.lines.append)
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        """Listen."""
        self._thread.start()
        assert self._ready.wait(20)

    def stop(self):
        """End."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self):
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._end = asyncio.Event()
        async with self.server.running() as port:
            self.port = port
            self.url = f"ws://127.0.0.1:{port}"
            self._ready.set()
            await self._end.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def serving(served, **settings):
    """Serve while the context lasts."""
    running = Running(served, ServeSettings(port=0, **settings))
    running.start()
    try:
        yield running
    finally:
        running.stop()
