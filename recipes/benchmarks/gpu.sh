#!/bin/sh
# Every figure of a GPU in one command: gpu.sh OUT [flags of gpu.py]. Leaves OUT/gpu.json and OUT/gpu.md, which grow
# while it runs. Eight minutes at most, torch.compile being last. Nothing is downloaded.
set -eu
[ $# -ge 1 ] || { echo "usage: gpu.sh OUT [--minutes 8] [--device cuda] [--size base] ..." >&2; exit 2; }
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
export PYTHONPATH="$here/../..${PYTHONPATH:+:$PYTHONPATH}"
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
exec "${PYTHON:-python3}" "$here/gpu.py" "$@"
