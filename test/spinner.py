"""Spins nodes in a thread, and ends without a race: the thread first, then the executor."""

import threading


class Spinner:
    """One executor with its own thread."""

    def __init__(self, executor, *nodes):
        self._executor = executor
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        for node in nodes:
            executor.add_node(node)
        self._thread.start()

    def end(self):
        """Stop spinning; harmless when called again."""
        if not self._ending.is_set():
            self._ending.set()
            self._executor.wake()
            self._thread.join()
            self._executor.shutdown()

    def _run(self):
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.1)
