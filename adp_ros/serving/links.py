"""Connections to a policy server, with a deadline on everything; nothing stale gets through.

One question is out at a time. Whatever goes wrong ends the connection, so that an answer that
comes late has nowhere to arrive; the next question opens another one.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, time
from typing import Any, Final, Protocol, TypeVar

import aiohttp

from ..errors import PolicyError
from .mapping import RemoteMapping
from .wire import OPENPI, VLA_EVAL, WireError, json_pack, json_unpack

T = TypeVar("T")
_SLACK: Final = 0.5  # [s] after a deadline, within which the loop must have noticed
_MOST_WAITING: Final = 8  # messages that nobody asked for
_CLOSING: Final = 1.0  # [s] for farewells


class LinkError(PolicyError):
    """The server can't be used now; says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        values: The message.
        sent: When the question was ready to be sent, on the monotonic clock in [s].
        came: When the answer had come.
    """

    values: Mapping[Any, Any]
    sent: float
    came: float


class Link(Protocol):
    """A connection; its methods run in the event loop and have no deadline of their own."""

    @property
    def is_open(self) -> bool:
        """True while the connection stands."""
        ...

    async def open(self) -> Mapping[Any, Any]:
        """Connect; return what the server says of itself.

        Raises:
            LinkError: It can't be reached or speaks another protocol.
            WireError: It sent what can't be read.
        """
        ...

    async def ask(self, observation: Mapping[str, Any], begins: bool) -> Answer:
        """Ask for a chunk; ``begins`` says that an episode does.

        Raises:
            LinkError: No usable answer came.
            WireError: What came can't be read.
        """
        ...

    async def close(self) -> None:
        """End the connection at once."""
        ...


class LoopThread:
    """An event loop in a thread of its own, so that connections live between questions."""

    def __init__(self) -> None:
        """Start it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], deadline: float) -> T:
        """Do something within ``deadline`` [s].

        Raises:
            LinkError: It took longer.
        """
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, deadline), self._loop)
        try:
            return future.result(deadline + _SLACK)
        except (asyncio.TimeoutError, FutureTimeout) as error:
            future.cancel()
            raise LinkError(f"no answer within {deadline:g} s") from error

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSING)
        if not self._thread.is_alive():
            self._loop.close()


class _Socket:
    """A websocket whose messages are read as they come."""

    def __init__(self, url: str, limit: int, token: str) -> None:
        self._url = url
        self._limit = limit
        self._headers = {"Authorization": f"Api-Key {token}"} if token else {}
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._came: asyncio.Queue[bytes | str] = asyncio.Queue()
        self._end = ""  # why nothing more will come

    @property
    def is_open(self) -> bool:
        return self._socket is not None and not self._end

    async def connect(self) -> None:
        await self.close()
        self._came, self._end = asyncio.Queue(), ""
        self._http = aiohttp.ClientSession(headers=self._headers)
        try:
            self._socket = await self._http.ws_connect(
                self._url, max_msg_size=self._limit, compress=0
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            await self.close()
            raise LinkError(f"{self._url} can't be reached: {_reason(error)}") from error
        self._reader = asyncio.create_task(self._read(self._socket))

    async def _read(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        while not self._end:
            message = await connection.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                self._came.put_nowait(bytes(message.data))
            elif message.type is aiohttp.WSMsgType.TEXT:
                self._came.put_nowait(f"the server says: {' '.join(message.data.split())[:200]}")
            elif message.type is aiohttp.WSMsgType.ERROR:
                self._end = f"connection lost: {_reason(connection.exception())}"
            else:
                said = f" ({connection.close_code})" if connection.close_code else ""
                self._end = f"the server closed the connection{said}"
            if self._came.qsize() > _MOST_WAITING:
                self._end = "the server sends without being asked"
        self._came.put_nowait(self._end)

    def refuse_waiting(self) -> None:
        """Refuse what came without a question: it answers an earlier one, or one twice."""
        if not self._came.empty():
            raise LinkError("a message came that nobody asked for: stale or repeated")

    async def send(self, data: bytes) -> None:
        if self._socket is None:
            raise LinkError("there is no connection")
        try:
            await self._socket.send_bytes(data)
        except (ConnectionError, aiohttp.ClientError, RuntimeError) as error:
            raise LinkError(f"connection lost: {_reason(error)}") from error

    async def receive(self) -> bytes:
        message = await self._came.get()
        if isinstance(message, str):
            raise LinkError(message)
        return message

    async def close(self) -> None:
        self._end = self._end or "closed"
        if self._socket is not None:
            line = self._socket.get_extra_info("socket")
            if line is not None and line.fileno() >= 0:
                with suppress(OSError):  # it is gone already
                    line.shutdown(socket.SHUT_RDWR)  # a half-open one would keep what is queued
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        self._http = self._socket = self._reader = None


class OpenpiLink:
    """openpi's protocol: the server speaks first, then each question has its answer."""

    def __init__(self, mapping: RemoteMapping, token: str) -> None:
        """Prepare."""
        self._socket = _Socket(mapping.url, int(mapping.message_limit * 2**20), token)

    @property
    def is_open(self) -> bool:
        """True while the connection stands."""
        return self._socket.is_open

    async def open(self) -> Mapping[Any, Any]:
        """Connect; return the server's metadata.

        Raises:
            LinkError: It can't be reached, or says nothing.
            WireError: What it says is no metadata.
        """
        await self._socket.connect()
        return OPENPI.unpack(await self._socket.receive())

    async def ask(self, observation: Mapping[str, Any], begins: bool) -> Answer:
        """Ask for a chunk; this protocol has no word for the begin of an episode.

        Raises:
            LinkError: No usable answer came.
            WireError: What came can't be read.
        """
        data = OPENPI.pack(observation)
        self._socket.refuse_waiting()
        sent = monotonic()
        await self._socket.send(data)
        answer = await self._socket.receive()
        return Answer(OPENPI.unpack(answer), sent, monotonic())

    async def close(self) -> None:
        """End the connection at once."""
        await self._socket.close()


class VlaEvalLink:
    """vla-eval's protocol: hello, begin of an episode, numbered observations."""

    def __init__(self, mapping: RemoteMapping, token: str) -> None:
        """Prepare."""
        self._socket = _Socket(mapping.url, int(mapping.message_limit * 2**20), token)
        self._number = 0
        self._episodes = 0
        self._running = False

    @property
    def is_open(self) -> bool:
        """True while the connection stands."""
        return self._socket.is_open

    async def open(self) -> Mapping[Any, Any]:
        """Connect and say hello; return the server's.

        Raises:
            LinkError: It can't be reached, or doesn't greet in version 1 of the protocol.
            WireError: It sent what can't be read.
        """
        await self._socket.connect()
        self._running = False
        await self._send("hello", {"harness_version": "adp_ros", "protocol_version": 1})
        hello = await self._receive("hello")
        version = hello.get("protocol_version")
        if version != 1:
            raise LinkError(f"the server speaks version {str(version)[:20]} of vla-eval's protocol")
        return hello

    async def ask(self, observation: Mapping[str, Any], begins: bool) -> Answer:
        """Ask for a chunk; where an episode begins, or the connection is new, that is said first.

        Raises:
            LinkError: No usable answer came.
            WireError: What came can't be read.
        """
        self._socket.refuse_waiting()
        if begins or not self._running:
            if self._running:
                await self._send("episode_end", {})
            self._running = True
            self._episodes += 1
            task = {"name": observation.get("task_description", ""), "episode_idx": self._episodes}
            await self._send("episode_start", {"task": task})
        sent = monotonic()
        await self._send("observation", observation)
        answer = await self._receive("action")
        return Answer(answer, sent, monotonic())

    async def close(self) -> None:
        """End the connection at once."""
        await self._socket.close()

    async def _send(self, kind: str, payload: Mapping[str, Any]) -> None:
        self._number += 1
        message = {"type": kind, "payload": payload, "seq": self._number, "timestamp": time()}
        await self._socket.send(VLA_EVAL.pack(message))

    async def _receive(self, wanted: str) -> Mapping[Any, Any]:
        message = VLA_EVAL.unpack(await self._socket.receive())
        kind, payload, number = (message.get(name) for name in ("type", "payload", "seq"))
        if not isinstance(kind, str):
            raise LinkError("the server speaks another protocol than vla-eval's")
        if kind == "error":
            said = payload.get("error") if isinstance(payload, dict) else payload
            raise LinkError(f"the server says: {' '.join(str(said).split())[:200]}")
        if number != self._number:
            raise LinkError(
                f"answer {str(number)[:20]} came to question {self._number}: stale or reordered"
            )
        if kind != wanted or not isinstance(payload, dict):
            raise LinkError(f"the server sent {str(kind)[:40]!r}, {wanted!r} is needed")
        return payload


class ActLink:
    """OpenVLA-OFT's HTTP: each question is a request of its own; the server says nothing first."""

    def __init__(self, mapping: RemoteMapping, token: str) -> None:
        """Prepare."""
        self._url = mapping.url.rstrip("/")
        self._limit = int(mapping.message_limit * 2**20)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http: aiohttp.ClientSession | None = None

    @property
    def is_open(self) -> bool:
        """True while questions can be asked."""
        return self._http is not None

    async def open(self) -> Mapping[Any, Any]:
        """Return what our own server says of itself at ``/health``; of others nothing is known.

        Raises:
            LinkError: It can't be reached.
        """
        await self.close()
        self._http = aiohttp.ClientSession(headers=self._headers)
        status, data = await self._exchange("GET", f"{self._url.removesuffix('/act')}/health", b"")
        if status != 200:
            return {}
        try:
            values = json_unpack(data)
        except WireError:
            return {}  # somebody else's page of that name
        policy = values.get("policy", {}) if isinstance(values, dict) else {}
        return policy if isinstance(policy, dict) else {}

    async def ask(self, observation: Mapping[str, Any], begins: bool) -> Answer:
        """Ask for a chunk; this protocol has no word for the begin of an episode.

        Raises:
            LinkError: No usable answer came.
            WireError: What came can't be read.
        """
        body = json_pack(observation)
        sent = monotonic()
        status, data = await self._exchange("POST", f"{self._url.removesuffix('/act')}/act", body)
        came = monotonic()
        if status != 200:
            raise LinkError(f"the server says {status}: {data[:200].decode(errors='replace')}")
        values = json_unpack(data)
        if isinstance(values, str):
            if values == "error":
                raise LinkError("the server says: error")
            values = json_unpack(values.encode())
        return Answer(values if isinstance(values, dict) else {"actions": values}, sent, came)

    async def close(self) -> None:
        """End all connections at once."""
        if self._http is not None:
            await self._http.close()
        self._http = None

    async def _exchange(self, method: str, url: str, body: bytes) -> tuple[int, bytes]:
        if self._http is None:
            raise LinkError("there is no connection")
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            async with self._http.request(method, url, data=body, headers=headers) as response:
                data = b""
                async for part in response.content.iter_chunked(2**16):
                    data += part
                    if len(data) > self._limit:
                        raise LinkError(f"the answer is larger than {self._limit} bytes")
                return response.status, data
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise LinkError(f"{url} can't be reached: {_reason(error)}") from error


def make_link(mapping: RemoteMapping, token: str) -> Link:
    """Return the link of a mapping's protocol; ``token`` is empty where the server wants none."""
    if mapping.protocol == "act":
        return ActLink(mapping, token)
    return (OpenpiLink if mapping.protocol == "openpi" else VlaEvalLink)(mapping, token)


def _reason(error: BaseException | None) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
