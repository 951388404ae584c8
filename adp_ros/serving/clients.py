"""One websocket of the server, with a time limit on everything."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from ..errors import AdpError
from .serve_settings import ServeSettings
from .wire import WireError


class ClientGone(AdpError):
    """The client has closed, or is too slow."""


@dataclass(frozen=True, slots=True)
class Client:
    """A connected client.

    Attributes:
        socket: Its websocket.
        settings: Time limits.
        name: Address, for people.
        whole: It takes whole chunks, as ``?chunks=whole`` in its address says.
    """

    socket: web.WebSocketResponse
    settings: ServeSettings
    name: str
    whole: bool = False

    async def receive(self) -> bytes | None:
        """Return the next message, None when the client closed.

        Raises:
            ClientGone: It said nothing for too long.
            WireError: The message is text, or too large.
        """
        limit = self.settings.idle_limit
        try:
            message = await self.socket.receive(timeout=limit)
        except asyncio.TimeoutError as error:
            raise ClientGone(f"nothing came for {limit:g} s") from error
        if message.type is WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is WSMsgType.TEXT:
            raise WireError("a text frame came, binary msgpack is needed")
        if message.type is WSMsgType.ERROR:
            most = self.settings.message_limit
            raise WireError(f"message can't be read, or is larger than {most:g} MiB")
        return None

    async def send(self, data: bytes) -> None:
        """Send a message.

        Raises:
            ClientGone: The client doesn't take it in time, or has closed.
        """
        await self._within(self.socket.send_bytes(data))

    async def send_text(self, line: str) -> None:
        """Send a line, which openpi's clients take for an error.

        Raises:
            ClientGone: The client doesn't take it in time, or has closed.
        """
        await self._within(self.socket.send_str(line))

    async def close(self, code: int, reason: str) -> None:
        """Close, as far as the client still listens.

        Raises:
            ClientGone: It doesn't.
        """
        await self._within(self.socket.close(code=code, message=reason.encode()[:120]))

    async def _within(self, sending: Awaitable[object]) -> None:
        limit = self.settings.send_limit
        try:
            await asyncio.wait_for(sending, limit)
        except asyncio.TimeoutError as error:
            raise ClientGone(f"took nothing for {limit:g} s") from error
        except (ConnectionError, RuntimeError) as error:
            raise ClientGone(f"connection lost: {error}") from error
