"""To the Hub and back: model cards out of results files, checkpoints and corpora in one commit."""

from hf_mer.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "hf_mer.hub.cards.facts": ("CORPORA", "SYSTEMS"),
        "hf_mer.hub.cards.card_results": ("card_results", "machine_paths", "read_results"),
        "hf_mer.hub.cards.model_card": ("CardSpec", "model_card"),
        "hf_mer.hub.cards.dataset_card": ("dataset_card",),
        "hf_mer.hub.checkpoints": ("Checkpoint", "find_checkpoint"),
        "hf_mer.hub.prepared": ("PreparedCorpus", "find_prepared"),
        "hf_mer.hub.push": ("check_access", "checkpoint_files", "corpus_files", "push_checkpoint", "push_corpus"),
        "hf_mer.hub.sharing": ("SharingError", "check_sharing"),
        "hf_mer.hub.errors": ("HubError",),
    },
)
