"""What is known of systems and corpora whatever the run: papers, citations, licences; see `facts.yaml`."""

from pathlib import Path
from typing import Any

import yaml

_FACTS = yaml.safe_load(Path(__file__).with_name("facts.yaml").read_text(encoding="utf-8"))

SYSTEMS: dict[str, dict[str, Any]] = _FACTS["systems"]
CORPORA: dict[str, dict[str, Any]] = _FACTS["corpora"]
