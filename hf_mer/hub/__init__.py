"""What is said of a model on the Hub: model cards, out of results files."""

from hf_mer.hub.card_facts import CORPORA, SYSTEMS
from hf_mer.hub.card_results import card_results, machine_paths, read_results
from hf_mer.hub.model_card import CardSpec, model_card

__all__ = ["CORPORA", "SYSTEMS", "CardSpec", "card_results", "machine_paths", "model_card", "read_results"]
