"""What a library prints to standard output, as lines for a log."""

import ctypes
import os
import threading
from collections.abc import Callable
from typing import Final

_STDOUT: Final = 1
_LINES: Final = 1  # _IOLBF of stdio.h


class LibraryOutput:
    """Takes over standard output of the process until it is closed.

    Args:
        say: Gets each line, in a thread of its own.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._before = os.dup(_STDOUT)
        source, sink = os.pipe()
        os.dup2(sink, _STDOUT)
        os.close(sink)
        libc = ctypes.CDLL(None)
        stdout = ctypes.c_void_p.in_dll(libc, "stdout")
        libc.setvbuf(stdout, None, _LINES, ctypes.c_size_t(0))
        self._flush: Callable[[None], int] = libc.fflush
        self._thread = threading.Thread(target=self._run, args=(source,), name="library output")
        self._thread.start()

    def close(self) -> None:
        """Give standard output back."""
        self._flush(None)
        os.dup2(self._before, _STDOUT)  # the last end of the pipe closes with it
        os.close(self._before)
        self._thread.join()

    def _run(self, source: int) -> None:
        with open(source, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.strip():
                    self._say(line.strip())
