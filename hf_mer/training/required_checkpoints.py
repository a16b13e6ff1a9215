"""The checkpoints that settings name: one that cannot be had is known before any work."""

from pathlib import Path
from typing import Any


def remote_checkpoints(arguments: Any) -> dict[str, str]:
    """Repositories on the Hub that a system starts from, by the setting that names them.

    Args:
        arguments: `ModelArguments`, or of the second stage, which have a `speech_encoder` alone. What belongs to a
            fold (`{fold}` in its name) is not looked at.
    """
    settings = [f"{modality}_encoder" for modality in getattr(arguments, "modalities", ["speech"])]
    if getattr(arguments, "trained", False):
        settings = ["checkpoint", "unimodal_text", "unimodal_speech"]
    found = {name: getattr(arguments, name, None) for name in settings}
    return {
        setting: name
        for setting, name in found.items()
        if isinstance(name, str) and "{fold}" not in name and not Path(name).exists()
    }


def require_checkpoints(arguments: Any) -> None:
    """Makes sure that they are in the cache or on the Hub; to be called within `hub_or_cache`.

    Raises:
        HubError: Naming setting and checkpoint, and what to do instead.
    """
    from hf_mer.hub.errors import HubError  # with what settings that name none need not wait for
    from hf_mer.hub.loading import locate_checkpoint

    remote = remote_checkpoints(arguments)
    for setting, name in remote.items():
        try:
            locate_checkpoint(name)
        except HubError as error:
            flags = ", ".join(f"--{one.replace('_', '-')} FOLDER" for one in remote)
            scratch = "; own recordings need none with `hf-mer train ... --from-scratch`" * setting.endswith("encoder")
            raise HubError(f"{setting} {error}. {flags} for what is on this machine{scratch}") from error
