"""Calls to the application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.applications import Starlette

PATH = "/v1/application/score"
JSON = {"Content-Type": "application/json"}


class Http:
    """Asks the application; each call has an event loop of its own."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self._transport = httpx.ASGITransport(app)

    def post(self, path: str, **content: Any) -> httpx.Response:
        return asyncio.run(self._ask("POST", path, content))

    def get(self, path: str) -> httpx.Response:
        return asyncio.run(self._ask("GET", path, {}))

    def post_all(self, path: str, bodies: list[Any]) -> list[httpx.Response]:
        """All at once."""

        async def ask() -> list[httpx.Response]:
            return await asyncio.gather(*(self._ask("POST", path, {"json": body}) for body in bodies))

        return asyncio.run(ask())

    async def _ask(self, method: str, path: str, content: dict[str, Any]) -> httpx.Response:
        if isinstance(content.get("content"), list):
            content["content"] = _in_chunks(content["content"])
        async with httpx.AsyncClient(transport=self._transport, base_url="http://here") as client:
            return await client.request(method, path, **content)


async def _in_chunks(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
