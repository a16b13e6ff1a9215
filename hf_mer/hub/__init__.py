"""To the Hub and back: model cards out of results files, checkpoints and corpora in one commit."""

from hf_mer.hub.card_facts import CORPORA, SYSTEMS
from hf_mer.hub.card_results import card_results, machine_paths, read_results
from hf_mer.hub.checkpoints import Checkpoint, find_checkpoint
from hf_mer.hub.dataset_card import dataset_card
from hf_mer.hub.errors import HubError
from hf_mer.hub.model_card import CardSpec, model_card
from hf_mer.hub.prepared import PreparedCorpus, find_prepared
from hf_mer.hub.push import check_access, push_checkpoint, push_corpus
from hf_mer.hub.sharing import SharingError, check_sharing

__all__ = [
    "CORPORA",
    "SYSTEMS",
    "CardSpec",
    "Checkpoint",
    "HubError",
    "PreparedCorpus",
    "SharingError",
    "card_results",
    "check_access",
    "check_sharing",
    "dataset_card",
    "find_checkpoint",
    "find_prepared",
    "machine_paths",
    "model_card",
    "push_checkpoint",
    "push_corpus",
    "read_results",
]
