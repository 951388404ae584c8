# ruff: noqa: PLR0911, PLR0912, PLR0915 - one branch per fault
"""A policy server on loopback that misbehaves at one chosen question.

Its chunks tell to which picture they belong: every number of a chunk is the picture's first
pixel over 1000. What goes over the wire is made and read with msgpack and JSON alone.
"""

import asyncio
import base64
import json
import struct
import threading

import msgpack
import numpy as np
from aiohttp import WSMsgType, web

CHUNK = (8, 7)
LATE = 0.6  # [s]: later than the deadline of the tests that need one
SLOW_FAULTS = ("silent", "late", "half_open", "drips")


def mark_of(chunk):
    """The picture that a chunk belongs to."""
    assert np.ptp(chunk[:, :6]) == 0
    return round(float(chunk[0, 0]) * 1000)


def plain_array(array, byte_keys):
    """An array as one of the two protocols writes it."""
    parts = {"__ndarray__": True, "data": array.tobytes(), "dtype": array.dtype.str}
    parts["shape"] = list(array.shape)
    return {key.encode() if byte_keys else key: value for key, value in parts.items()}


class ScriptedServer:
    """Answers well, but for the question number ``at``."""

    def __init__(self, protocol, fault="", at=0, own=False, lasting=False):
        self.protocol, self.fault, self.at, self.own = protocol, fault, at, own
        self.lasting = lasting  # every question from `at` on goes wrong
        self.connections = self.questions = 0
        self.last = 0  # picture of the last good answer
        self.checkpoint = "first"
        self.broken_greeting = False
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def url(self):
        """Where it listens."""
        scheme = "http" if self.protocol == "act" else "ws"
        return f"{scheme}://127.0.0.1:{self.port}"

    def _run(self):
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self):
        self._stop = asyncio.Event()
        server = web.Server(self._handle, access_log=None)
        listening = await self._loop.create_server(server, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        listening.close()
        await server.shutdown(0.1)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _handle(self, request):
        if self.protocol == "act":
            return await self._handle_http(request)
        self.connections += 1
        if self.broken_greeting == "http":
            return web.Response(status=404, text="no such page")
        socket = web.WebSocketResponse(compress=False, max_msg_size=0)
        await socket.prepare(request)
        if self.protocol == "openpi":
            await self._greet(socket)
        async for message in socket:
            if message.type is WSMsgType.BINARY and not await self._take(socket, request, message):
                break
        return socket

    async def _greet(self, socket):
        if self.broken_greeting == "text":
            await socket.send_str("hello")
        elif self.broken_greeting == "stale":
            await socket.send_bytes(self._answer(self.last, None))
        else:
            await socket.send_bytes(msgpack.packb(self._metadata()))

    def _metadata(self):
        if not self.own:
            return {"policy": self.checkpoint, "action_horizon": 8}
        frames = {"translation_frame": "base", "rotation_frame": "base", "rotation": "rotvec"}
        said = {"server": "adp_ros", "checkpoint": self.checkpoint, "chunk_length": 8, "views": 1}
        return {**said, "state": [], "convention": frames, "actions": "metres", "layers": 4}

    async def _take(self, socket, request, message):
        values = msgpack.unpackb(message.data)
        if self.protocol == "vla-eval":
            if values["type"] == "hello":
                hello = {"protocol_version": 1, "model_server": self.checkpoint}
                if self.broken_greeting == "version":
                    hello["protocol_version"] = 7
                kind = "error" if self.broken_greeting == "text" else "hello"
                await socket.send_bytes(self._vla_eval(kind, hello, values["seq"]))
                return True
            if values["type"] != "observation":
                return True
            number, values = values["seq"], values["payload"]
            picture = values["images"]["front"]
        else:
            number, picture = values.get("adp/request"), values["observation/image"]
        pixel = (picture.get(b"data") or picture.get("data"))[0]
        fault = self._fault_now()
        if fault:
            return await self._misbehave(socket, request, fault, pixel, number)
        await socket.send_bytes(self._answer(pixel, number))
        self.last = pixel
        return True

    def _fault_now(self):
        self.questions += 1
        number = self.questions - 1
        return self.fault if number == self.at or (self.lasting and number > self.at) else ""

    async def _misbehave(self, socket, request, fault, pixel, number):
        send = socket.send_bytes
        good = self._answer(pixel, number)
        if fault in BAD_VALUES:
            await send(self._answer(pixel, number, BAD_VALUES[fault]))
        elif fault == "silent":
            await asyncio.sleep(10)
        elif fault == "late":
            await asyncio.sleep(LATE)
            await send(good)
        elif fault == "half_open":
            request.transport.pause_reading()
            await asyncio.sleep(10)
        elif fault == "drips":
            frame = b"\x82\x7e" + struct.pack(">H", len(good)) + good
            for byte in frame:
                request.transport.write(bytes([byte]))
                await asyncio.sleep(0.05)
        elif fault == "closes":
            await socket.close()
        elif fault == "aborts":
            request.transport.abort()
            return False
        elif fault == "cut":
            request.transport.write(b"\x82\x7e" + struct.pack(">H", len(good)) + good[:20])
            await asyncio.sleep(0.01)
            request.transport.abort()
            return False
        elif fault == "repeats":
            await send(self._answer(self.last, None if number is None else number - 1))
        elif fault == "twice":
            await send(good)
            await send(good)
        elif fault == "reorders":
            await send(self._answer(pixel, number + 1))
        elif fault == "text":
            await socket.send_str("out of memory")
        elif fault == "garbage":
            await send(b"\xc1\xc1\xc1")
        elif fault == "empty":
            await send(b"")
        elif fault == "list":
            await send(msgpack.packb([1, 2, 3]))
        elif fault == "huge":
            await send(b"\0" * 2_000_000)
        elif fault == "wrong_kind":
            await send(self._vla_eval("hello", {"protocol_version": 1}, number))
        elif fault == "says_error":
            await send(self._vla_eval("error", {"error": "predict failed"}, number))
        elif fault == "other_checkpoint":
            self.checkpoint = "second"
            await send(self._answer(pixel, number))
        else:  # what the server is after the connection has broken
            if fault == "restarts_other":
                self.checkpoint = "second"
            self.broken_greeting = {
                "restarts_http": "http",
                "restarts_text": "text",
                "restarts_stale": "stale",
                "restarts_version": "version",
            }.get(fault, "")
            await socket.close()
        return fault != "closes"

    def _answer(self, pixel, number, change=None):
        chunk = np.full(CHUNK, pixel / 1000.0)
        values = {"actions": plain_array(chunk, self.protocol == "openpi")}
        if self.own:
            values["adp"] = self._about(number)
        if change is not None:
            values = change(values, chunk, self.protocol == "openpi")
        if self.protocol == "vla-eval":
            return self._vla_eval("action", values, number)
        return msgpack.packb(values)

    def _about(self, number):
        tokens = {"tokens_total": 256, "kept_indices": [], "pruned": False, "merge_grid": 0}
        seconds = {"preprocess": 0.0, "vision": 0.0, "scoring": 0.0, "llm": 0.0, "head": 0.0}
        return {
            **tokens, "request": number, "checkpoint": self.checkpoint, "views": 1,
            "sequence_length": [300, 300], "flops": 1.0, "flops_full": 1.0, "scores": None,
            "seconds": {**seconds, "total": 0.0}, "received": 1.0, "sent": 1.0,
            "normalized_actions": plain_array(np.zeros(CHUNK, np.float32), True),
        }  # fmt: skip

    @staticmethod
    def _vla_eval(kind, payload, number):
        values = {"type": kind, "payload": payload, "seq": number or 0, "timestamp": 0.0}
        return msgpack.packb(values)

    async def _handle_http(self, request):
        if request.method == "GET":
            return web.Response(status=404)
        self.connections += 1
        picture = json.loads(await request.read())["full_image"]["__numpy__"]
        pixel = base64.b64decode(picture[:8])[0]
        fault = self._fault_now()
        chunk = np.full(CHUNK, pixel / 1000.0)
        if fault in BAD_VALUES:
            values = BAD_VALUES[fault]({"actions": None}, chunk, False)
            rows = values.get("actions", {})
            return web.json_response(_json_of(rows))
        if fault == "silent":
            await asyncio.sleep(10)
        elif fault == "late":
            await asyncio.sleep(LATE)
        elif fault == "drips":
            answer = web.StreamResponse()
            await answer.prepare(request)
            for _ in range(100):
                await answer.write(b" ")
                await asyncio.sleep(0.05)
        elif fault in ("closes", "aborts", "cut"):
            request.transport.abort()
        elif fault == "repeats":
            chunk = np.full(CHUNK, self.last / 1000.0)
        elif fault == "text":
            return web.json_response("error")
        elif fault == "says_error":
            return web.Response(status=500, text="predict failed")
        elif fault in ("garbage", "empty"):
            return web.Response(body=b"\xc1" if fault == "garbage" else b"")
        elif fault == "huge":
            return web.Response(body=b"[" + b" " * 2_000_000)
        self.last = pixel
        return web.json_response([_json_of(row) for row in chunk])


def _json_of(value):
    if isinstance(value, dict):  # as plain_array made it
        data = base64.b64encode(value["data"]).decode()
        return {"__numpy__": data, "dtype": value["dtype"], "shape": value["shape"]}
    if isinstance(value, np.ndarray):
        return _json_of(plain_array(value, False))
    return value


def _with(**changes):
    """Change the array of the chunk."""

    def change(values, chunk, byte_keys):
        for name, value in changes.items():
            chunk = value(chunk) if name == "array" else chunk
        return {**values, "actions": plain_array(np.asarray(chunk), byte_keys)}

    return change


def _put(value):
    def put(chunk):
        chunk[3, 2] = value
        return chunk

    return put


BAD_VALUES = {
    "short": _with(array=lambda chunk: chunk[:7]),
    "long": _with(array=lambda chunk: np.vstack([chunk, chunk[:1]])),
    "narrow": _with(array=lambda chunk: chunk[:, :6]),
    "flat": _with(array=np.ravel),
    "none": _with(array=lambda chunk: chunk[:0]),
    "nan": _with(array=_put(np.nan)),
    "infinite": _with(array=_put(-np.inf)),
    "words": lambda values, chunk, keys: {**values, "actions": [["a"] * 7] * 8},
    "no_chunk": lambda values, chunk, keys: {**values, "actions": None},
    "no_key": lambda values, chunk, keys: {k: v for k, v in values.items() if k != "actions"},
    "ragged": lambda values, chunk, keys: {**values, "actions": [[0.0] * 7] * 7 + [[0.0]]},
}
