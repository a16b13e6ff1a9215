"""The page of a checkpoint as a Space; the checkpoint is named by the variable `MER_CHECKPOINT`."""

import os
import sys

from hf_mer.app.lane import Limits
from hf_mer.app.model import load_page_model
from hf_mer.app.server import serve


def main() -> int:
    checkpoint = os.environ.get("MER_CHECKPOINT")
    if not checkpoint:
        print("Set the variable MER_CHECKPOINT to a repository, such as my-name/le-mer-own.", file=sys.stderr)
        return 1
    model = load_page_model(
        checkpoint, revision=os.environ.get("MER_REVISION") or None, asr=os.environ.get("MER_ASR") or None
    )
    limits = Limits(
        float(os.environ.get("MER_MAX_MINUTES") or Limits.minutes),
        int(os.environ.get("MER_MAX_WAITING") or Limits.waiting),
    )
    serve(model, host=None, limits=limits)  # Spaces say by Gradio's own variables where to listen
    return 0


if __name__ == "__main__":
    sys.exit(main())
