"""Which torch ``make setup`` installs: CUDA only where there is a GPU or somebody asks for it."""

import runpy
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

choose = runpy.run_path(str(Path(__file__).parents[1] / ".ci" / "torch_options.py"))["choose"]
NOWHERE = "http://127.0.0.1:9/whl/cpu"


@pytest.fixture
def index():
    """An index that answers for torch."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):  # the library's name
            self.send_response(200 if self.path == "/cpu/torch/" else 404)
            self.end_headers()

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/cpu"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("gpu", "driver", "cpu"),
    [("auto", True, False), ("auto", False, True), ("yes", False, False), ("no", True, True)],
)
def test_cpu_wheels_are_chosen_where_there_is_no_gpu(gpu, driver, cpu, index, tmp_path):
    """And where they are asked for; the person is told which, why, and how large."""
    options, text = choose(gpu, tmp_path if driver else tmp_path / "none", index)
    assert options == (["--extra-index-url", index] if cpu else [])
    assert text.startswith("torch for the CPU" if cpu else "torch with CUDA")
    assert " GB to download" in text


def test_an_index_that_cannot_be_reached_is_left_out_and_said(tmp_path):
    """Pip goes on with what it knows."""
    options, text = choose("auto", tmp_path / "none", NOWHERE)
    assert options == [] and f"{NOWHERE} can't be reached" in text


def test_anything_else_is_refused(tmp_path):
    """One line with what is allowed."""
    with pytest.raises(SystemExit, match="GPU is 'maybe', allowed: auto, yes, no"):
        choose("maybe", tmp_path, NOWHERE)
