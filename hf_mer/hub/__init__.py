"""To the Hub and back: model cards out of results files, checkpoints and corpora in one commit."""

from hf_mer.hub.card_facts import CORPORA, SYSTEMS
from hf_mer.hub.card_results import card_results, machine_paths, read_results
from hf_mer.hub.checkpoints import Checkpoint, find_checkpoint
from hf_mer.hub.errors import HubError
from hf_mer.hub.model_card import CardSpec, model_card
from hf_mer.hub.push import check_access, push_checkpoint

__all__ = [
    "CORPORA",
    "SYSTEMS",
    "CardSpec",
    "Checkpoint",
    "HubError",
    "card_results",
    "check_access",
    "find_checkpoint",
    "machine_paths",
    "model_card",
    "push_checkpoint",
    "read_results",
]
