"""What is known whatever the run: papers, citations and licences of systems and corpora.

See `facts.yaml`, and of public corpora their descriptions.
"""

from pathlib import Path
from typing import Any

import yaml

from hf_mer.data.corpora.public.description import describe, public_names

_FACTS = yaml.safe_load(Path(__file__).with_name("facts.yaml").read_text(encoding="utf-8"))

SYSTEMS: dict[str, dict[str, Any]] = _FACTS["systems"]
CORPORA: dict[str, dict[str, Any]] = {
    **_FACTS["corpora"],
    **{name: describe(name).facts() for name in public_names()},
}
PROTOCOLS: dict[str, str] = _FACTS["protocols"]
COLUMNS: dict[str, str] = _FACTS["columns"]
