"""What is sent to the page: how much of it, for how long, and that nothing stays of an upload that broke off."""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

MAX_UPLOAD = 500  # MB of 2**20 bytes, all files of an upload together
_MAX_BODY = 4 * 2**20  # bytes of anything else: texts, and which file was uploaded
_FORM = 2**20  # bytes of an upload that are not its files
STALL = 60.0  # seconds without a byte after which an upload counts as broken off


class Uploads:
    """Refuses what is too large, and deletes what Gradio leaves of uploads that end before they are whole.

    Gradio writes an upload into a file of the folder itself and moves that into a folder of its own once it is whole.

    Args:
        app: The application.
        folder: Of uploads.
    """

    def __init__(self, app: Any, folder: str):
        self.app, self.folder = app, Path(folder)
        self._running = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_upload = scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/upload")
        headers = dict(scope["headers"])
        most = MAX_UPLOAD * 2**20 + _FORM if is_upload else _MAX_BODY
        if b"multipart" in headers.get(b"content-type", b"") and not is_upload:
            await PlainTextResponse("Upload files to /upload.", 415)(scope, receive, send)
        elif int(headers.get(b"content-length", b"0")) > most:
            await PlainTextResponse(f"The limit is {most // 2**20} MB.", 413)(scope, receive, send)
        elif is_upload:
            await self._upload(scope, _limited(receive, most, STALL), send)
        else:
            await self.app(scope, _limited(receive, most), send)

    async def _upload(self, scope: Any, receive: Any, send: Any) -> None:
        self._running += 1
        try:
            await self.app(scope, receive, send)
        except ClientDisconnect:
            with contextlib.suppress(OSError):  # of who is still there, and sent too much or too slowly
                await PlainTextResponse("The upload was interrupted.", 400)(scope, receive, send)
        finally:
            self._running -= 1
            if self._running:  # one of the files may be that of another upload, which goes on
                asyncio.get_running_loop().call_later(STALL + 1, self._delete, STALL)
            else:
                self._delete(0.0)

    def _delete(self, untouched: float) -> None:
        """Deletes files of unfinished uploads to which nothing was added for so many seconds."""
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):
                if path.is_file() and time.time() - path.stat().st_mtime >= untouched:
                    path.unlink()


def _limited(receive: Any, most: int, stall: float | None = None) -> Any:
    """`receive` of a request that breaks off where its body is too long or stops coming."""
    count, is_whole = 0, False

    async def limited() -> Any:
        nonlocal count, is_whole
        try:
            message = await asyncio.wait_for(receive(), None if is_whole else stall)
        except asyncio.TimeoutError:  # before Python 3.11 not the builtin one
            return {"type": "http.disconnect"}
        count += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        return message if count <= most else {"type": "http.disconnect"}

    return limited
