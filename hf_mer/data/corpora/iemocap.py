"""IEMOCAP: from the release as it is unpacked to rows of the schema.

Source: C. Busso et al., "IEMOCAP: Interactive emotional dyadic motion capture database", 2008. The corpus needs a
signed licence; nothing is downloaded, and recordings are referenced by path, never copied.
"""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetDict, DatasetInfo, Split, SplitGenerator, Version
from datasets.builder import Key

from hf_mer.data.corpora.iemocap_counts import TASKS, compare_counts
from hf_mer.data.corpora.iemocap_files import (
    Dialogue,
    Rating,
    corpus_files,
    find_release,
    read_release,
    side_of,
    speaker_of,
)
from hf_mer.data.corpora.iemocap_votes import log_unknown_categories
from hf_mer.data.corpora.published import (
    ReleaseBuilder,
    ReleaseConfig,
    build,
    check_options,
    report_counts,
    rows_or_folds,
)
from hf_mer.data.schema import (
    CorpusError,
    canonical_gender,
    corpus_features,
    dialogue_histories,
    make_record,
    records_to_table,
    strip_tags,
)
from hf_mer.data.votes import vote_shares

__all__ = ["TASKS", "IemocapBuilder", "IemocapConfig", "compare_counts", "load_iemocap"]

SPLIT_SCREENS = {"named_left": "left", "named_right": "right", "whole": None}


def load_iemocap(
    data_dir: str | os.PathLike,
    task: str = "4class",
    *,
    protocol: str | None = None,
    fold: int | str | None = None,
    validation: str | None = None,
    max_history: int = 10,
    keep_tags: bool = True,
    check_counts: str = "auto",
    split_screen: str = "named_left",
    cache_dir: str | os.PathLike | None = None,
) -> Dataset | DatasetDict | list[DatasetDict]:
    """Loads IEMOCAP from its release.

    Speakers are `Ses01_F` to `Ses05_M`, sessions `Ses01` to `Ses05`. The history of a row is what was said before it
    in its dialogue by both speakers, whether rated or not. `start` and `end` come from the ratings, `duration` is
    their difference until `check_audio` measures it. `video` is that span of the dialogue's video
    (`dialog/avi/DivX/<dialogue>.avi`) with the half that shows the speaker, where the video is there.

    `votes` are the shares of the task's classes among the evaluators' categories (lines `C-E1` and on; who chose
    several counts for each in part), None where nobody chose one. What the actors say of themselves is left out.

    Args:
        data_dir: The folder `IEMOCAP_full_release`, or the one that holds it.
        task: `4class` (angry, happy with excited, neutral, sad; 5531 utterances) or `6class` (angry, excited,
            frustrated, happy, neutral, sad; 7380).
        protocol: One of `leave_one_session_out`, `leave_one_speaker_out`, `fixed_session`; see `make_folds`.
        fold: Position or name of a fold of the protocol.
        validation: Which rows select the epoch; see `make_folds`.
        max_history: Longest history, in utterances.
        keep_tags: Whether marks of sounds such as `[LAUGHTER]` stay in text and history. Without them 54 utterances of
            the release have an empty text.
        check_counts: Whether utterances per session and label are compared with the published counts: `auto` warns of
            differences (and looks away where the tree is a generated one), `strict` raises, `off` does nothing.
        split_screen: Which half of the videos shows whom. `named_left`: the left one shows the actor whose letter the
            dialogue's name has (F in `Ses01F_impro01`), the right one the other; so it is said of the release, but
            look at a few frames of yours. `named_right`: the other way round. `whole`: both actors are in the picture.
        cache_dir: Of `datasets`; its default if not given.

    Returns:
        All rows; with `protocol` and `fold` the train, validation and test rows of that fold; with `protocol` alone
        all its folds in order.

    Raises:
        CorpusError: With every file that is missing or odd; or counts that differ, if `strict`.
        ValueError: If an option is not known.
    """
    check_options(task, TASKS, check_counts, protocol, fold=fold, validation=validation)
    root = find_release(data_dir)
    settings = {"max_history": max_history, "keep_tags": keep_tags, "split_screen": split_screen}
    rows = build(IemocapBuilder, root, task, cache_dir, **settings)
    if check_counts != "off":
        report_counts(compare_counts(rows, task), f"the {task} task", root, check_counts)
    return rows_or_folds(rows, protocol, fold, validation)


@dataclasses.dataclass
class IemocapConfig(ReleaseConfig):
    """What `load_dataset("iemocap", ...)` understands; see `load_iemocap`."""

    keep_tags: bool = True
    split_screen: str = "named_left"
    find_release = staticmethod(find_release)
    corpus_files = staticmethod(corpus_files)

    def create_config_id(self, config_kwargs: dict, custom_features: Any = None) -> str:
        """Name of the cache, of settings that are valid."""
        if self.split_screen not in SPLIT_SCREENS:
            raise ValueError(f"split_screen is {self.split_screen!r}; it must be one of {', '.join(SPLIT_SCREENS)}")
        return super().create_config_id(config_kwargs, custom_features)


class IemocapBuilder(ReleaseBuilder):
    """Builds the rows of one task as a single split, `train`; protocols cut it."""

    CODE = ("iemocap.py", "iemocap_counts.py", "iemocap_files.py", "iemocap_votes.py", "../votes.py")
    BUILDER_CONFIG_CLASS = IemocapConfig
    BUILDER_CONFIGS = [IemocapConfig(name=task, version=Version("1.0.0")) for task in TASKS]  # noqa: RUF012
    DEFAULT_CONFIG_NAME = "4class"

    def _info(self) -> DatasetInfo:
        return DatasetInfo(
            description="IEMOCAP, read from the release",
            features=corpus_features(sorted(set(TASKS[self.config.name].values()))),
            homepage="https://sail.usc.edu/iemocap/",
        )

    def _split_generators(self, dl_manager: Any) -> list[SplitGenerator]:
        if self.config.data_dir is None:
            raise CorpusError("IEMOCAP cannot be downloaded: pass data_dir, the folder of your licensed release")
        return [SplitGenerator(name=Split.TRAIN, gen_kwargs={"root": str(find_release(self.config.data_dir))})]

    def _generate_tables(self, root: str) -> Iterator[tuple[Key, pa.Table]]:
        problems: list[str] = []
        dialogues = read_release(Path(root), problems)
        records = [
            record
            for dialogue in dialogues
            for record in _dialogue_records(dialogue, TASKS[self.config.name], self.config, problems)
        ]
        if not records and not problems:
            problems.append(f"{root}: no utterance of the {self.config.name} task")
        if problems:
            raise CorpusError.from_problems(f"IEMOCAP in {root}", problems)
        spoken = [utterance for dialogue in dialogues for utterance in dialogue.utterances]
        votes = [(one.id, one.rating.votes) for one in spoken if one.id is not None and one.rating is not None]
        log_unknown_categories(votes, f"IEMOCAP in {root}")
        yield Key(0, 0), records_to_table(records, self.info.features["label"].names)


def _dialogue_records(
    dialogue: Dialogue, classes: dict[str, str], config: IemocapConfig, problems: list[str]
) -> Iterator[dict[str, Any]]:
    """The rows of a dialogue; adds utterances of the task without a recording to `problems`."""
    names = sorted(set(classes.values()))
    texts = [utterance.text if config.keep_tags else strip_tags(utterance.text) for utterance in dialogue.utterances]
    histories = dialogue_histories(texts, config.max_history)
    for turn, (utterance, text, history) in enumerate(zip(dialogue.utterances, texts, histories, strict=True)):
        rating = utterance.rating
        if utterance.id is None or rating is None or rating.label not in classes:
            continue
        if utterance.id not in dialogue.audio:
            if dialogue.audio:
                problems.append(f"{next(iter(dialogue.audio.values())).parent / utterance.id}.wav: missing")
            continue
        yield make_record(
            id=utterance.id,
            audio=dialogue.audio[utterance.id],
            video=_video(dialogue, utterance.id, rating, config.split_screen),
            text=text,
            history=history,
            speaker=speaker_of(utterance.id),
            gender=canonical_gender(speaker_of(utterance.id)[-1]),
            dialogue=dialogue.name,
            session=dialogue.session,
            part="scripted" if "_script" in dialogue.name else "improvised",
            turn=turn,
            label=names.index(classes[rating.label]),
            votes=_votes(rating, classes, names),
            duration=rating.end - rating.start,
            start=rating.start,
            end=rating.end,
            valence=rating.valence,
            arousal=rating.arousal,
            dominance=rating.dominance,
        )


def _votes(rating: Rating, classes: dict[str, str], names: list[str]) -> list[float] | None:
    """The raters' shares of the task's classes, by the same map as the labels."""
    votes = dict.fromkeys(names, 0.0)
    for label, count in rating.votes.items():
        if label in classes:
            votes[classes[label]] += count
    return vote_shares(votes, names)


def _video(dialogue: Dialogue, utterance_id: str, rating: Rating, split_screen: str) -> dict[str, Any] | None:
    if dialogue.video is None:
        return None
    named = SPLIT_SCREENS[split_screen]
    side = None if named is None else side_of(utterance_id, dialogue.name, named)
    return {"path": dialogue.video, "start": rating.start, "end": rating.end, "side": side}
