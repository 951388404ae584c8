"""The policy server: the same windows as in one process, by three protocols, for many clients.

Clients are written here with aiohttp and msgpack alone, as their authors' are.
"""

import asyncio
import base64
import contextlib
import json
import socket
import time
from dataclasses import replace

import aiohttp
import msgpack
import numpy as np
import pytest
import torch
from mean_policy import served_mean
from policy_server import serving
from scripted_server import plain_array

from adp_ros.adp.adp_settings import AdpSettings
from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.errors import CheckpointError, ConfigError
from adp_ros.evaluation.chunkers import load_setup
from adp_ros.policies.policy import Prediction
from adp_ros.serving.mapping import RemoteMapping
from adp_ros.serving.remote_policy import connect
from adp_ros.serving.served import LIBERO_UNITS, Served
from adp_ros.serving.server import PolicyServer
from adp_ros.types import Observation

ADP = AdpSettings()
WINDOWS = 8


@pytest.fixture(scope="module")
def setup(twin_policy):
    """The trained policy, one thread."""
    torch.set_num_threads(1)
    return load_setup(twin_policy, ADP)


@pytest.fixture(scope="module")
def running(setup, twin_policy):
    """It, served."""
    with serving(Served.of(setup, ADP, twin_policy, libero=False)) as server:
        yield server


def pictures(seed, count=WINDOWS):
    """Observations that differ: pictures and states that move by millimetres."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (count, 24, 32, 3), dtype=np.uint8)
    states = random.normal(0, 0.005, (count, 10)).cumsum(0)
    large = small.repeat(20, axis=1).repeat(20, axis=2)
    return [Observation((rgb,), "wipe the table", state) for rgb, state in zip(large, states)]  # noqa: B905


def in_process(setup, observations):
    """The same windows without a network."""
    planner = setup.planner(setup.convention)
    return [planner.plan(seen, n) for n, seen in enumerate(observations)]


def openpi_message(seen, **more):
    """An observation as openpi's client sends it."""
    rgb = plain_array(np.asarray(seen.images[0]), True)
    values = {"observation/image": rgb, "prompt": seen.instruction}
    if seen.state is not None:
        values["observation/state"] = plain_array(seen.state, True)
    return msgpack.packb({**values, **more})


def array_in(values, byte_keys=True):
    """An array out of an answer."""
    key = (lambda name: name.encode()) if byte_keys else (lambda name: name)
    data = np.frombuffer(values[key("data")], values[key("dtype")])
    return data.reshape(values[key("shape")])


async def openpi_session(url, messages, pause=0.0):
    """Metadata and answers of one connection; a text frame is an answer too."""
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as line:
        metadata = msgpack.unpackb(await line.receive_bytes(timeout=20))
        answers = []
        for message in messages:
            await line.send_bytes(message)
            found = await line.receive(timeout=60)
            is_bytes = isinstance(found.data, bytes)
            answers.append(msgpack.unpackb(found.data) if is_bytes else found.data)
            await asyncio.sleep(pause)
        return metadata, answers


def test_openpi_windows_are_those_of_one_process(running, setup):
    """Actions to the last bit, pruned windows and kept patches, over two episodes."""
    first, second = pictures(1), pictures(2)
    expected = in_process(setup, first) + in_process(setup, second)
    messages = [openpi_message(seen, **{"adp/episode": 1}) for seen in first]
    messages += [openpi_message(seen, **{"adp/episode": 2}) for seen in second]
    metadata, answers = asyncio.run(openpi_session(running.url, messages))
    assert metadata["chunk_length"] == 8 and metadata["pruner"]["keep"] == 0.5
    assert any(window.pruned for window in expected)
    for answer, window in zip(answers, expected, strict=True):
        actions = array_in(answer["actions"])
        assert actions.dtype == np.float64
        assert np.array_equal(actions, window.actions)
        assert answer["adp"]["window"] == window.window
        assert tuple(answer["adp"]["kept_indices"]) == (window.audit.kept or ())


def test_several_clients_have_gates_of_their_own(running, setup):
    """Four clients at once, each with other pictures: each has the windows it would have alone."""
    seen = [pictures(seed) for seed in range(10, 14)]

    async def all_at_once():
        sessions = [openpi_session(running.url, map(openpi_message, each)) for each in seen]
        return await asyncio.gather(*sessions)

    for each, (_, answers) in zip(seen, asyncio.run(all_at_once()), strict=True):
        for answer, window in zip(answers, in_process(setup, each), strict=True):
            assert np.array_equal(array_in(answer["actions"]), window.actions)
            assert answer["adp"]["pruned"] == window.pruned


def test_an_episode_begins_where_words_or_place_change(running):
    """Without a word of the client: another instruction, or a jump of the tool, begins one."""
    seen = pictures(3, 3)
    far = Observation(seen[2].images, "wipe the table", seen[2].state + 0.5)
    other = Observation(seen[2].images, "place the carrot", far.state)
    messages = [openpi_message(each) for each in (*seen, far, other)]
    _, answers = asyncio.run(openpi_session(running.url, messages))
    assert [(a["adp"]["episode"], a["adp"]["window"]) for a in answers] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (2, 0)
    ]  # fmt: skip


def vla_eval_message(kind, payload, number):
    """A message of vla-eval's."""
    return msgpack.packb({"type": kind, "payload": payload, "seq": number, "timestamp": 0.0})


def vla_eval_observation(seen):
    """An observation as vla-eval's harness sends it."""
    rgb = plain_array(np.asarray(seen.images[0]), False)
    state = [] if seen.state is None else seen.state.tolist()
    return {"images": {"front": rgb}, "task_description": seen.instruction, "states": state}


async def vla_eval_session(url, observations):
    """Hello, one episode, and its answers."""
    answers = []
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as line:
        await line.send_bytes(vla_eval_message("hello", {"protocol_version": 1}, 1))
        hello = msgpack.unpackb(await line.receive_bytes(timeout=20))
        await line.send_bytes(vla_eval_message("episode_start", {"task": {}}, 2))
        for number, seen in enumerate(observations, 3):
            await line.send_bytes(
                vla_eval_message("observation", vla_eval_observation(seen), number)
            )
            answers.append(msgpack.unpackb(await line.receive_bytes(timeout=60)))
            assert answers[-1]["seq"] == number
        await line.send_bytes(vla_eval_message("episode_end", {}, 99))
    return hello, answers


def test_vla_eval_gets_whole_chunks(running, setup):
    """With ?chunks=whole an observation is a window."""
    seen = pictures(4)
    url = f"{running.url}/vla-eval?chunks=whole"
    hello, answers = asyncio.run(vla_eval_session(url, seen))
    assert (hello["type"], hello["seq"]) == ("hello", 1)
    assert hello["payload"]["adp_ros"]["chunk_length"] == 8
    for answer, window in zip(answers, in_process(setup, seen), strict=True):
        actions = array_in(answer["payload"]["actions"], byte_keys=False)
        assert np.array_equal(actions, window.actions)


def test_vla_eval_gets_one_action_per_observation(running, setup):
    """Without it a chunk is handed out row by row, and the next one is planned when it is empty."""
    seen = pictures(5, 20)
    _, answers = asyncio.run(vla_eval_session(f"{running.url}/vla-eval", seen))
    rows = [array_in(answer["payload"]["actions"], byte_keys=False) for answer in answers]
    chunks = np.concatenate([w.actions for w in in_process(setup, seen[::8])])
    assert np.array_equal(rows, chunks[:20])


async def post(url, body, **options):
    """Status and text of one HTTP request."""
    async with aiohttp.ClientSession() as http, http.post(url, data=body, **options) as answer:
        return answer.status, await answer.text()


def json_array(array):
    """An array as json-numpy writes it."""
    text = base64.b64encode(array.tobytes()).decode()
    return {"__numpy__": text, "dtype": array.dtype.str, "shape": list(array.shape)}


@pytest.mark.parametrize("double", [False, True])
def test_act_answers_as_openvla_oft_does(running, setup, double):
    """A list of rows, plain or encoded twice as upstream's client may ask."""
    seen = pictures(6, 1)[0]
    values = {
        "full_image": json_array(np.asarray(seen.images[0])),
        "state": json_array(seen.state),
        "instruction": f"{seen.instruction}{' again' * double}",
    }
    body = json.dumps({"encoded": json.dumps(values)} if double else values)
    status, text = asyncio.run(post(running.url.replace("ws", "http") + "/act", body))
    found = json.loads(json.loads(text)) if double else json.loads(text)
    rows = [np.frombuffer(base64.b64decode(row["__numpy__"]), row["dtype"]) for row in found]
    wanted = Observation(seen.images, values["instruction"], seen.state)
    assert status == 200
    assert np.array_equal(rows, in_process(setup, [wanted])[0].actions)


KEYS = {
    "openpi": ("", "observation/image", "observation/state", "prompt"),
    "vla-eval": ("/vla-eval?chunks=whole", "front", "states", "task_description"),
    "act": ("", "full_image", "state", "instruction"),
}


@pytest.mark.parametrize(
    ("protocol", "encoding"),
    [
        ("openpi", "raw"),
        ("openpi", "png"),
        ("vla-eval", "raw"),
        ("vla-eval", "png"),
        ("act", "raw"),
    ],
)
def test_remote_predictions_are_those_of_one_process(running, setup, protocol, encoding):
    """Through our own client: every number of a prediction, full and pruned, to the last bit."""
    path, image, state, words = KEYS[protocol]
    mapping = RemoteMapping(
        protocol=protocol, image_keys=(image,), state_key=state, instruction_key=words,
        encoding=encoding, deadline=60.0,
    )  # fmt: skip
    scheme = running.url.replace("ws", "http") if protocol == "act" else running.url
    policy = connect(mapping.at(scheme + path), time.perf_counter, "")
    policy.reset()
    assert policy.info.layout == setup.layout and policy.info.convention == setup.convention
    for n, seen in enumerate(pictures(7, 4)):
        pruner = TextDrivenPruner(keep=0.3 + 0.1 * n) if n % 2 else None
        here, there = setup.policy.predict(seen, pruner), policy.predict(seen, pruner)
        for name in ("actions", "normalized_actions", "kept", "scores"):
            a, b = vars_of(here)[name], vars_of(there)[name]
            assert (a is None and b is None) or (a.dtype == b.dtype and np.array_equal(a, b)), name
        for name in ("sequence_lengths", "vision_tokens", "views", "flops", "flops_full"):
            assert vars_of(here)[name] == vars_of(there)[name], name
        assert {"round_trip_ms", "server_ms", "clock_offset_s"} <= set(there.notes)
        assert abs(there.notes["clock_offset_s"]) < 0.05  # one machine, one clock
    policy.close()


def vars_of(prediction):
    """The fields of a prediction."""
    return {name: getattr(prediction, name) for name in Prediction.__dataclass_fields__}


def test_health_and_record_say_what_was_done(running):
    """The page of health names the checkpoint; each window has a record that JSON can say."""

    async def health():
        address = running.url.replace("ws", "http") + "/health"
        async with aiohttp.ClientSession() as http, http.get(address) as answer:
            return await answer.json()

    before = len(running.records)
    asyncio.run(openpi_session(running.url, map(openpi_message, pictures(8, 2))))
    found = asyncio.run(health())
    assert found["status"] == "ok" and found["policy"]["checkpoint"].startswith("sampled-sha256:")
    assert found["windows"] >= 2
    records = running.records[before:]
    assert [record["window"] for record in records] == [0, 1]
    assert {"client", "pruned", "flops", "decision", "seconds", "waited_ms"} <= set(records[0])
    json.dumps(records)


BLACK = plain_array(np.zeros((8, 8, 3), np.uint8), True)
OBJECTS = {b"__ndarray__": True, b"dtype": "|O", b"data": b"", b"shape": []}


def message(**more):
    """A small observation of openpi's with something changed; None leaves it out."""
    values = {"observation/image": BLACK, "prompt": "wipe"}
    values |= {name.replace("__", "/"): value for name, value in more.items()}
    return msgpack.packb({name: value for name, value in values.items() if value is not None})


BAD_MESSAGES = {
    "no map": (msgpack.packb([1]), "a map is needed"),
    "garbage": (b"\xc1", "no msgpack"),
    "objects": (message(a=OBJECTS), "numbers are needed"),
    "no picture": (message(observation__image=None), "observation/image is missing"),
    "no instruction": (message(prompt=None), "prompt is 'None'"),
    "empty instruction": (message(prompt=" "), "instruction is empty"),
    "floats": (message(observation__image=plain_array(np.zeros((8, 8, 3)), True)), "uint8"),
    "flat": (message(observation__image=plain_array(np.zeros(9, np.uint8), True)), "(height"),
    "state of words": (message(observation__state=["a"]), "numbers are needed"),
    "state of NaN": (message(observation__state=[float("nan")]), "finite"),
    "unknown pruner": (message(adp__pruner={"name": "no"}), "pruner is 'no'"),
    "bad pruner": (message(adp__pruner={"name": "adp", "keep": 7}), "keep is 7"),
    "pruner without name": (message(adp__pruner={"keep": 0.5}), "has no name"),
    "pruner of words": (message(adp__pruner="adp"), "settings are needed"),
    "measured": (message(adp__measured=[1]), "path and net are needed"),
    "episode": (message(adp__episode=[1]), "a text or whole number is needed"),
    "policy fails": (message(prompt="fail"), "not finite"),
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_bad_message_gets_one_line_and_harms_nobody(name):
    """The client is told in one line; another one, connected all the time, is answered."""
    data, words = BAD_MESSAGES[name]
    good = openpi_message(Observation((np.full((8, 8, 3), 50, np.uint8),), "wipe"))

    async def both(url):
        async with aiohttp.ClientSession() as http, http.ws_connect(url) as other:
            await other.receive_bytes(timeout=20)
            _, answers = await openpi_session(url, [data])
            await other.send_bytes(good)
            return answers[0], msgpack.unpackb(await other.receive_bytes(timeout=20))

    with serving(served_mean()) as running:
        line, answer = asyncio.run(both(running.url))
    assert isinstance(line, str) and words in line and "\n" not in line
    assert np.array_equal(array_in(answer["actions"]), np.full((8, 7), 0.05))
    assert any(words in said for said in running.lines)


def test_text_frames_huge_messages_and_silence_end_the_connection():
    """Each is hung up on with a reason or in time; the server goes on."""

    async def closing(url, send):
        async with aiohttp.ClientSession() as http, http.ws_connect(url) as line:
            await line.receive_bytes(timeout=20)
            await send(line)
            found = await line.receive(timeout=20)
            while found.type is aiohttp.WSMsgType.TEXT:
                found = await line.receive(timeout=20)
            return found.type, line.close_code

    ended = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)
    with serving(served_mean(), message_limit=0.1, idle_limit=0.5) as running:
        kind, code = asyncio.run(closing(running.url, lambda line: line.send_str("hello")))
        assert kind in ended and code == 1008
        huge = bytes(300_000)
        kind, code = asyncio.run(closing(running.url, lambda line: line.send_bytes(huge)))
        assert kind in ended and code == 1009
        kind, _ = asyncio.run(closing(running.url, lambda line: asyncio.sleep(0)))
        assert kind in ended
        assert any("text frame" in line for line in running.lines)
        assert any("nothing came for 0.5 s" in line for line in running.lines)
        assert running.server.counts.clients == 0


def test_a_connection_that_asks_nothing_is_ended():
    """Half a greeting, or none, holds a connection no longer than the limit."""
    with serving(served_mean(), greeting_limit=0.3) as running:
        for begin in (b"", b"GET / HT"):
            with socket.create_connection(("127.0.0.1", running.port), timeout=10) as line:
                line.sendall(begin)
                with contextlib.suppress(ConnectionResetError):
                    assert line.recv(1) == b""


def test_a_client_that_never_reads_is_ended():
    """It asks and asks and takes nothing: hung up on after the limit; another one is answered."""
    good = openpi_message(Observation((np.full((8, 8, 3), 50, np.uint8),), "wipe"))

    async def stuffed(running):
        async with aiohttp.ClientSession() as http, http.ws_connect(running.url) as line:
            line.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            transport = line._response.connection.transport
            transport.pause_reading()
            for _ in range(20_000):
                try:
                    await asyncio.wait_for(line.send_bytes(good), 2.0)
                except (asyncio.TimeoutError, aiohttp.ClientError, ConnectionError):
                    break
                if any("took nothing" in said for said in running.lines):
                    break
            _, answers = await openpi_session(running.url, [good])
            return answers[0]

    with serving(served_mean(), send_limit=0.3) as running:
        answer = asyncio.run(stuffed(running))
        assert np.array_equal(array_in(answer["actions"]), np.full((8, 7), 0.05))
        assert any("took nothing for 0.3 s" in line for line in running.lines)


def test_slow_policy_is_a_line_not_a_hanging_client():
    """After the limit the client is told; it may ask again."""
    good = openpi_message(Observation((np.full((8, 8, 3), 50, np.uint8),), "wipe"))
    with serving(served_mean(seconds=0.6), answer_limit=0.2) as running:
        _, answers = asyncio.run(openpi_session(running.url, [good], pause=0.0))
    assert answers == ["no answer within 0.2 s"]


def test_token_is_asked_for_in_all_ways():
    """Bearer, Api-Key and the address; without it 401, and the page of health says no more."""
    with serving(served_mean(), token="sesame") as running:

        async def status(path, headers):
            address = running.url.replace("ws", "http") + path
            async with aiohttp.ClientSession(headers=headers) as http, http.get(address) as answer:
                return answer.status, await answer.json()

        assert asyncio.run(status("/openpi", {}))[0] == 401
        assert asyncio.run(status("/openpi", {"Authorization": "Bearer open"}))[0] == 401
        assert asyncio.run(status("/health", {})) == (200, {"status": "ok"})
        found = asyncio.run(status("/health", {"Authorization": "Api-Key sesame"}))[1]
        assert found["policy"]["chunk_length"] == 8
        asyncio.run(openpi_session(f"{running.url}?token=sesame", []))
        mapping = RemoteMapping().at(running.url)
        connect(mapping, time.perf_counter, "sesame").close()
        with pytest.raises(CheckpointError, match="401"):
            connect(mapping, time.perf_counter, "open")


def test_other_addresses_and_too_many_clients_are_refused():
    """404 names what there is, 503 the number of clients."""
    with serving(served_mean(), clients=1) as running:

        async def refused(path):
            async with aiohttp.ClientSession() as http, http.ws_connect(running.url) as line:
                await line.receive_bytes(timeout=20)
                async with http.get(running.url.replace("ws", "http") + path) as answer:
                    first = answer.status, (await answer.json())["error"]
                try:
                    async with http.ws_connect(running.url):
                        return first, 0
                except aiohttp.WSServerHandshakeError as error:
                    return first, error.status

        (status, words), second = asyncio.run(refused("/pi0"))
        assert status == 404 and "/vla-eval" in words
        assert second == 503


def test_port_that_is_taken_is_one_line():
    """The address and what is wrong with it."""
    with serving(served_mean()) as running:
        other = running.server
        with pytest.raises(ConfigError, match=rf"port is {running.port}: .*in use"):
            asyncio.run(second_on(other, running.port))


async def second_on(server, port):
    """Try to listen where somebody does."""
    settings = replace(server._settings, port=port)
    async with PolicyServer(served_mean(), settings, print, print).running():
        pass


def test_libero_actions_are_sent_in_its_units():
    """Gate and planner count in metres; sent are the policy's own numbers, gripper -1 or 1."""
    served = served_mean(libero=True)
    observation = Observation((np.full((8, 8, 3), 100, np.uint8),), "wipe")
    planned = served.planner().plan(observation, 0)
    assert np.allclose(planned.actions[0, :3], 0.1 * 0.05)
    assert np.allclose(planned.actions[0, 3:6], 0.1 * 0.5)
    sent = served.sent(planned.actions)
    assert np.allclose(sent[:, :6], 0.1) and (sent[:, 6] == 1.0).all()  # 0.1 is closed
    opened = planned.actions.copy()
    opened[:, 6] = 1.0
    assert (served.sent(opened)[:, 6] == -1.0).all()
    assert LIBERO_UNITS.shape == (7,)
