"""`hf-mer app`."""

import argparse
from typing import Any


def add_commands(commands: Any) -> None:
    """Adds the command to the parser's."""
    app = commands.add_parser("app", help="a page in the browser for a checkpoint")
    app.add_argument("checkpoint", help="folder, or repository on the Hub")
    app.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1, this machine)")
    app.add_argument("--port", type=int, help="default: the first free one from 7860")
    app.add_argument("--share", action="store_true", help="a public address for three days, through Gradio's server")
    app.add_argument("--asr", metavar="NAME", help="speech-recognition checkpoint for recordings without words")
    app.add_argument("--revision", help="branch, tag or commit of the repository")
    app.set_defaults(run=_app)


def _app(arguments: argparse.Namespace) -> None:
    from hf_mer.app.model import load_page_model
    from hf_mer.app.server import serve

    model = load_page_model(arguments.checkpoint, revision=arguments.revision, asr=arguments.asr)
    serve(model, host=arguments.host, port=arguments.port, share=arguments.share)
