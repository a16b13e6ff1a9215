"""`hf-mer app`."""

import argparse
from typing import Any

from hf_mer.cli.help import add_command

EXAMPLES = """examples:
  hf-mer app runs/le_mer/Ses05
  hf-mer app my-name/le-mer-calls --revision main --port 8000
  hf-mer app runs/le_mer/Ses05 --asr openai/whisper-tiny   # recognises the words of recordings
"""


def add_commands(commands: Any) -> None:
    """Adds the command to the parser's."""
    app = add_command(commands, "app", _app, "serve a page for a checkpoint in the browser", EXAMPLES)
    app.add_argument("checkpoint", help="folder, or repository on the Hub")
    app.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    app.add_argument("--port", type=int, help="port (default: the first free one from 7860)")
    app.add_argument(
        "--share", action="store_true", help="create a public address for three days, through Gradio's server"
    )
    app.add_argument("--asr", metavar="NAME", help="speech-recognition checkpoint for recordings without words")
    app.add_argument("--revision", help="branch, tag or commit of the repository")
    app.add_argument("--max-minutes", type=float, default=120, help="longest recording, in minutes (default: 120)")
    app.add_argument(
        "--max-waiting",
        type=int,
        default=10,
        help="number of predictions that may wait, and of long recordings (default: 10)",
    )


def _app(arguments: argparse.Namespace) -> None:
    from hf_mer.app.lane import Limits
    from hf_mer.app.model import load_page_model
    from hf_mer.app.server import check_port, serve

    limits = Limits(arguments.max_minutes, arguments.max_waiting)
    check_port(arguments.host, arguments.port)
    model = load_page_model(arguments.checkpoint, revision=arguments.revision, asr=arguments.asr)
    serve(model, host=arguments.host, port=arguments.port, share=arguments.share, limits=limits)
