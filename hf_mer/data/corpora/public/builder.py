"""`load_dataset("ravdess", data_dir=...)`, for those who called `register_datasets`."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import DatasetInfo, Split, SplitGenerator, Version
from datasets.builder import Key

from hf_mer.data.corpora.public.description import describe, public_names
from hf_mer.data.corpora.public.loading import public_records
from hf_mer.data.corpora.public.reading import corpus_files, find_root, read_recordings
from hf_mer.data.corpora.published import ReleaseBuilder, ReleaseConfig
from hf_mer.data.schema import CorpusError, corpus_features, records_to_table


@dataclasses.dataclass
class PublicConfig(ReleaseConfig):
    """The corpus, by its name."""

    def find_release(self, data_dir: str) -> Path:
        """The folder."""
        return find_root(describe(self.name), data_dir)

    def corpus_files(self, root: Path) -> list[Path]:
        """The files that make the rows."""
        return corpus_files(describe(self.name), root)


class PublicBuilder(ReleaseBuilder):
    """Builds the rows of the corpus that it is asked for by name as a single split, `train`; `group` cuts it."""

    CODE = (
        *("public/description.py", "public/loading.py", "public/reading.py"),
        *(f"public/{name}.yaml" for name in public_names()),
    )
    BUILDER_CONFIG_CLASS = PublicConfig
    BUILDER_CONFIGS = [  # noqa: RUF012
        PublicConfig(name=name, version=Version("1.0.0")) for name in public_names()
    ]

    def __init__(self, *args: Any, dataset_name: str | None = None, config_name: str | None = None, **kwargs: Any):
        super().__init__(*args, dataset_name=dataset_name, config_name=config_name or dataset_name, **kwargs)

    def _info(self) -> DatasetInfo:
        corpus = describe(self.config.name)
        return DatasetInfo(
            description=corpus.about,
            features=corpus_features(corpus.classes),
            homepage=corpus.address,
            license=corpus.licence_id or "",
            citation=corpus.citation,
        )

    def _split_generators(self, dl_manager: Any) -> list[SplitGenerator]:
        corpus = describe(self.config.name)
        if self.config.data_dir is None:
            raise CorpusError(f"{corpus.title} is not downloaded automatically: pass data_dir. {corpus.where_to_get}")
        root = find_root(corpus, self.config.data_dir)
        return [SplitGenerator(name=Split.TRAIN, gen_kwargs={"root": str(root)})]

    def _generate_tables(self, root: str) -> Iterator[tuple[Key, pa.Table]]:
        corpus = describe(self.config.name)
        records = public_records(corpus, read_recordings(corpus, Path(root)))
        yield Key(0, 0), records_to_table(records, corpus.classes)
