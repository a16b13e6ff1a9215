"""Serving the page: to this machine by default, with nothing kept and nothing fetched from elsewhere."""

import contextlib
import errno
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hf_mer.app.lane import Limits
from hf_mer.app.model import PageModel
from hf_mer.hub.training_corpus import DEMONSTRATION

PORTS = range(7860, 7960)
"""Those that Gradio tries where none is named."""
# The page and what it loads come from this server alone; the browser refuses anything else.
_POLICY = (
    "default-src 'self' blob: data:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' blob: data:; media-src 'self' blob: data:; "
    "img-src 'self' blob: data:; font-src 'self' data:; worker-src 'self' blob:"
)


@contextlib.contextmanager
def running_page(
    model: PageModel,
    *,
    host: str | None = "127.0.0.1",
    port: int | None = None,
    share: bool = False,
    limits: Limits | None = None,
) -> Iterator[Any]:
    """The page, served until the context ends; then uploads and everything made of them are deleted.

    Args:
        model: The checkpoint.
        host: Address to listen on; None for Gradio's own variable `GRADIO_SERVER_NAME`.
        port: The first free one from 7860 if not given.
        share: Whether Gradio makes a public address for three days, through a server of its makers.
        limits: Of what a visitor may ask; the defaults if not given.

    Yields:
        The page; `local_url` and `share_url` are its addresses.

    Raises:
        ImportError: If Gradio is not installed.
        OSError: If the port is taken, or none is free.
    """
    check_port(host, port)
    with tempfile.TemporaryDirectory(prefix="hf_mer_page_") as folder, _own_folder(folder):
        _import_gradio()
        from hf_mer.app.page import build_page, look
        from hf_mer.app.uploads import MAX_UPLOAD
        from hf_mer.app.utterance import warm_up

        warm_up(model)
        limits = limits or Limits()
        page = build_page(model, Path(folder, "examples"), limits)
        Path(folder, "examples").mkdir()
        try:
            page.launch(
                server_name=host,
                server_port=port,
                share=share,
                quiet=True,
                prevent_thread_lock=True,
                ssr_mode=False,
                footer_links=[],
                max_file_size=f"{MAX_UPLOAD}mb",
                max_threads=40 + limits.waiting,  # Gradio's number, and one for each that stands in our own line
                app_kwargs={"middleware": _middleware(folder)},
                **look(),
            )
            yield page
        finally:
            page.close(verbose=False)


def check_port(host: str | None, port: int | None) -> None:
    """Finds out whether a port can be had, before anything is loaded.

    Args:
        host: Address to listen on; None for this machine.
        port: None if any of `PORTS` will do.

    Raises:
        ValueError: If it is no port.
        OSError: If it is taken, or cannot be had otherwise; also if all of `PORTS` are.
    """
    if port is None:
        if "GRADIO_SERVER_PORT" in os.environ:
            return
        for candidate in PORTS:
            with contextlib.suppress(OSError):
                _bind(host, candidate)
                return
        raise OSError(f"none of the ports {PORTS[0]} to {PORTS[-1]} is free: name another with --port")
    if not 1 <= port <= 65535:
        raise ValueError(f"port {port} must be from 1 to 65535")
    try:
        _bind(host, port)
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        advice = "choose another with --port, or leave --port out for the first free one from 7860"
        raise OSError(f"port {port} of {host or '127.0.0.1'} {why}: {advice}") from error


def _bind(host: str | None, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host or "127.0.0.1", port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def serve(model: PageModel, **settings: Any) -> None:
    """Serves the page until it is interrupted or told to stop (Ctrl-C, SIGTERM); arguments as `running_page`."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(KeyboardInterrupt), running_page(model, **settings) as page:
        print(f"{model.name}: {page.local_url}  (Ctrl-C stops)", flush=True)
        if model.corpus.generated:
            print(DEMONSTRATION, flush=True)
        if page.share_url:
            print(f"public for three days: {page.share_url}", flush=True)
        threading.Event().wait()


def _import_gradio() -> None:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read on import
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise ImportError("the page needs Gradio: pip install 'hf_mer[app]'") from error


@contextlib.contextmanager
def _own_folder(folder: str) -> Iterator[None]:
    """Gradio keeps uploads in this folder."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["GRADIO_TEMP_DIR"]
        else:
            os.environ["GRADIO_TEMP_DIR"] = before


def _middleware(folder: str) -> list[Any]:
    from starlette.middleware import Middleware

    from hf_mer.app.uploads import Uploads

    return [Middleware(ContentPolicy), Middleware(Uploads, folder=folder)]


class ContentPolicy:
    """Adds the content security policy to every page; streams pass untouched."""

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        from starlette.datastructures import MutableHeaders

        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("content-security-policy", _POLICY)
            await send(message)

        await self.app(scope, receive, send_with_policy if scope["type"] == "http" else send)
