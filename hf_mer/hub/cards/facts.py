"""What is known whatever the run: papers, citations and licences of systems and corpora; see `facts.yaml`."""

from pathlib import Path
from typing import Any

import yaml

_FACTS = yaml.safe_load(Path(__file__).with_name("facts.yaml").read_text(encoding="utf-8"))

SYSTEMS: dict[str, dict[str, Any]] = _FACTS["systems"]
CORPORA: dict[str, dict[str, Any]] = _FACTS["corpora"]
PROTOCOLS: dict[str, str] = _FACTS["protocols"]
COLUMNS: dict[str, str] = _FACTS["columns"]
