"""`python -m hf_mer.cli`: the same as `hf-mer`."""

import sys

from hf_mer.cli import main

sys.exit(main())
