"""A policy server that fails in every way we know: no chunk, a named cause, nothing stale after.

Every case asks eight questions; one of them goes wrong. Each chunk tells which picture it belongs
to, so that a stale one would be seen whenever it came.
"""

import time

import numpy as np
import pytest
from scripted_server import BAD_VALUES, SLOW_FAULTS, ScriptedServer, mark_of

from adp_ros.errors import CheckpointError, PolicyError
from adp_ros.serving.mapping import RemoteMapping
from adp_ros.serving.remote_policy import connect
from adp_ros.types import Observation

QUESTIONS = 8
KEYS = {
    "openpi": {"image_keys": ("observation/image",), "instruction_key": "prompt"},
    "vla-eval": {"image_keys": ("front",), "instruction_key": "task_description"},
    "act": {"image_keys": ("full_image",), "instruction_key": "instruction"},
}
FRAMES = {"translation_frame": "base", "rotation_frame": "base", "rotation": "rotvec"}
SHAPE = "shape"
CAUSES = {  # fault -> words of its cause; one of them must be in the message
    "silent": ("no answer within",),
    "late": ("no answer within",),
    "half_open": ("no answer within",),
    "drips": ("no answer within",),
    "closes": ("closed the connection", "can't be reached"),
    "aborts": ("closed the connection", "connection lost", "can't be reached"),
    "cut": ("closed the connection", "connection lost", "can't be reached"),
    "repeats": ("repeated", "stale"),
    "twice": ("repeated", "stale"),  # it may come before the next question or as its answer
    "reorders": ("stale or reordered",),
    "text": ("out of memory", "error"),
    "garbage": ("no msgpack", "no JSON"),
    "empty": ("no msgpack", "no JSON"),
    "list": ("a map is needed",),
    "huge": ("closed the connection", "connection lost", "larger than"),
    "wrong_kind": ("'action' is needed",),
    "says_error": ("predict failed",),
    "other_checkpoint": ("another checkpoint",),
    "restarts_other": ("another policy is served now",),
    "restarts_http": ("can't be reached",),
    "restarts_text": ("the server says", "hello"),
    "restarts_stale": ("another policy is served now",),
    "restarts_version": ("version 7",),
    "short": (SHAPE,),
    "long": (SHAPE,),
    "narrow": (SHAPE,),
    "flat": (SHAPE,),
    "none": (SHAPE,),
    "nan": ("NaN",),
    "infinite": ("NaN or infinity",),
    "words": ("no array of numbers",),
    "no_chunk": (SHAPE, "no array of numbers", "no actions"),
    "no_key": ("no actions", SHAPE, "no array"),
    "ragged": ("no array of numbers",),
}
ONLY = {  # faults that only some protocols can have
    "reorders": ("own", "vla-eval"),
    "wrong_kind": ("vla-eval",),
    "says_error": ("vla-eval", "act"),
    "other_checkpoint": ("own",),
    "restarts_stale": ("openpi", "own"),
    "restarts_version": ("vla-eval",),
    "half_open": ("openpi", "own", "vla-eval"),
    "no_key": ("openpi", "own", "vla-eval"),
    "cut": ("openpi", "own", "vla-eval"),
    "twice": ("openpi", "own", "vla-eval"),
    "list": ("openpi", "own", "vla-eval"),
    "restarts_other": ("openpi", "own", "vla-eval"),
    "restarts_http": ("openpi", "own", "vla-eval"),
    "restarts_text": ("openpi", "own", "vla-eval"),
}
RESTARTS = (
    "restarts_other",
    "restarts_http",
    "restarts_text",
    "restarts_stale",
    "restarts_version",
)
LASTING = ("other_checkpoint", *RESTARTS)
SERVERS = ("openpi", "own", "vla-eval", "act")
CASES = [
    (server, fault, at)
    for fault in CAUSES
    for server in ONLY.get(fault, SERVERS)
    for at in (1, 3, 6)
]


def policy_of(server, deadline):
    """A policy that asks a scripted server."""
    if server.own:
        mapping = RemoteMapping(message_limit=1.0, deadline=deadline)
    else:
        values = {"chunk_length": 8, "state_key": "", **FRAMES, **KEYS[server.protocol]}
        mapping = RemoteMapping(
            protocol=server.protocol, message_limit=1.0, deadline=deadline, **values
        )
    return connect(mapping.at(server.url), time.perf_counter, "")


def ask(policy, question):
    """Ask about a picture of its own; the picture that the chunk is of, or the cause of none."""
    rgb = np.full((24, 32, 3), 10 + question, np.uint8)
    try:
        return mark_of(policy.predict(Observation((rgb,), "wipe the table")).actions) - 10, ""
    except PolicyError as error:
        return None, str(error)


def test_there_are_enough_cases():
    """At least 300 over all kinds, and every wrong value is among them."""
    assert len(CASES) >= 300
    assert set(BAD_VALUES) <= set(CAUSES)


@pytest.mark.parametrize(("server", "fault", "at"), CASES, ids=str)
def test_fault_gives_no_chunk_and_a_cause(server, fault, at):
    """The question that goes wrong has no chunk; every other chunk is of its own picture."""
    protocol = "openpi" if server == "own" else server
    deadline = 0.3 if fault in SLOW_FAULTS else 20.0
    with ScriptedServer(protocol, fault, at, own=server == "own") as scripted:
        policy = policy_of(scripted, deadline)
        try:
            answers = [ask(policy, question) for question in range(QUESTIONS)]
        finally:
            policy.close()
    causes = [(n, cause) for n, (_, cause) in enumerate(answers) if cause]
    stale = [(n, mark) for n, (mark, cause) in enumerate(answers) if not cause and mark != n]
    assert stale == []
    first, cause = causes[0]
    shown_later = fault == "twice" or (fault in RESTARTS and "closed" not in cause)
    assert first == at + shown_later, causes
    assert any(words in cause for _, cause in causes for words in CAUSES[fault]), causes
    if fault in LASTING:
        assert [n for n, _ in causes][-1] == QUESTIONS - 1  # nothing of another policy, ever
    elif fault not in SLOW_FAULTS:
        assert len(causes) == 1  # the next question is answered


@pytest.mark.parametrize("server", SERVERS)
def test_without_a_fault_every_question_is_answered(server):
    """The same eight questions to a server without fault: eight chunks, one connection."""
    protocol = "openpi" if server == "own" else server
    with ScriptedServer(protocol, own=server == "own") as scripted:
        policy = policy_of(scripted, 20.0)
        answers = [ask(policy, question) for question in range(QUESTIONS)]
        policy.close()
        assert answers == [(question, "") for question in range(QUESTIONS)]
        assert protocol == "act" or scripted.connections == 1


@pytest.mark.parametrize(
    ("speaks", "asked", "words"),
    [
        ("vla-eval", "openpi", "no answer within 0.5 s"),  # each waits for the other's first word
        ("openpi", "vla-eval", "another protocol than vla-eval's"),
        ("act", "openpi", "can't be reached"),
        ("act", "vla-eval", "can't be reached"),
    ],
)
def test_a_server_of_another_protocol_is_refused_at_the_start(speaks, asked, words):
    """With the address and what is wrong, before anything moves."""
    values = {"chunk_length": 8, "state_key": "", **FRAMES, **KEYS[asked]}
    mapping = RemoteMapping(protocol=asked, connect_deadline=0.5, **values)
    with ScriptedServer(speaks) as scripted:
        url = scripted.url.replace("http", "ws")
        with pytest.raises(CheckpointError) as error:
            connect(mapping.at(url), time.perf_counter, "")
    assert str(error.value).startswith(f"policy_url {url}: ") and words in str(error.value)


def test_an_http_client_at_a_websocket_gets_no_chunk():
    """OpenVLA-OFT's protocol has no greeting: the first question says it."""
    with ScriptedServer("openpi") as scripted:
        values = {"chunk_length": 8, "state_key": "", **FRAMES, **KEYS["act"]}
        mapping = RemoteMapping(protocol="act", **values)
        policy = connect(mapping.at(scripted.url.replace("ws", "http")), time.perf_counter, "")
        number, cause = ask(policy, 0)
        policy.close()
    assert number is None and ("the server says" in cause or "can't be reached" in cause)
