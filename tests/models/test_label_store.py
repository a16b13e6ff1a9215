import json

import pytest
import torch
from model_tester import LABELS, tiny_store

from hf_mer.models import LabelEmbeddingStore


class TestSaving:
    def test_round_trip(self, tmp_path):
        store = tiny_store()
        store.centroids = torch.randn(5, 3)
        store.save_pretrained(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["label_store.json", "label_store.safetensors"]
        again = LabelEmbeddingStore.from_pretrained(tmp_path)
        assert again.to_dict() == store.to_dict()
        for name in ("text_embeddings", "tonal_embeddings", "centroids"):
            assert torch.equal(getattr(again, name), getattr(store, name))
        assert json.loads((tmp_path / "label_store.json").read_text())["keywords"]["sad"] == [
            ["sad!", 0.5],
            ["so", 0.25],
        ]

    def test_without_tensors(self, tmp_path):
        LabelEmbeddingStore(LABELS).save_pretrained(tmp_path)
        again = LabelEmbeddingStore.from_pretrained(tmp_path)
        assert again.labels == LABELS
        assert again.text_embeddings is None

    def test_letters_of_any_language(self, tmp_path):
        LabelEmbeddingStore(["fröhlich", "悲しい"]).save_pretrained(tmp_path)
        assert "悲しい" in (tmp_path / "label_store.json").read_text(encoding="utf-8")
        assert LabelEmbeddingStore.from_pretrained(tmp_path).labels == ["fröhlich", "悲しい"]

    @pytest.mark.parametrize("name", ["label_store.json", "label_store.safetensors"])
    def test_half_written_file(self, tmp_path, name):
        tiny_store().save_pretrained(tmp_path)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=r"label store in .* is damaged or half-written"):
            LabelEmbeddingStore.from_pretrained(tmp_path)

    @pytest.mark.parametrize("content", ["[]", '{"keywords": {}}', '{"labels": ["a"], "colour": 1}'])
    def test_json_of_something_else(self, tmp_path, content):
        tiny_store().save_pretrained(tmp_path)
        (tmp_path / "label_store.json").write_text(content)
        with pytest.raises(ValueError, match=r"label store in .* is damaged"):
            LabelEmbeddingStore.from_pretrained(tmp_path)

    def test_files_that_do_not_belong_together(self, tmp_path):
        tiny_store().save_pretrained(tmp_path)
        LabelEmbeddingStore(["a", "b"]).save_pretrained(tmp_path / "other")
        (tmp_path / "other" / "label_store.json").replace(tmp_path / "label_store.json")
        with pytest.raises(ValueError, match=r"text_embeddings must have shape \(2, width\), not \(4, 12\)"):
            LabelEmbeddingStore.from_pretrained(tmp_path)

    def test_missing(self, tmp_path):
        with pytest.raises(OSError, match="label_store"):
            LabelEmbeddingStore.from_pretrained(tmp_path)


class TestContent:
    def test_table(self):
        table = tiny_store().to_table().splitlines()
        assert table[0].split() == ["class", "words", "(TF-IDF)", "tonal", "codes", "(TF-IDF)"]
        assert len(table) == 6
        # 7 is entry 1 of the first group and 1 of the second (1 + 1 * 6), 3 is (3, 0)
        assert table[2].split("  ")[0] == "angry"
        assert "angry! 0.500, so 0.250" in table[2]
        assert "1-1 0.500, 3-0 0.125 (2)" in table[2]
        assert "-" in LabelEmbeddingStore(LABELS).to_table()

    def test_code_indices(self):
        store = tiny_store()
        assert store.code_indices(7) == (1, 1)
        assert store.code_indices(35) == (5, 5)
        assert LabelEmbeddingStore(LABELS, discretizer={"kind": "kmeans"}).code_indices(35) == (35,)

    def test_refuses(self):
        with pytest.raises(ValueError, match="must differ"):
            LabelEmbeddingStore(["sad", "sad"])
        with pytest.raises(ValueError, match=r"keywords are for classes \['sad'\]"):
            LabelEmbeddingStore(LABELS, keywords={"sad": [("so", 1.0)]})
        with pytest.raises(ValueError, match=r"tonal_embeddings must have shape \(4, width\), not \(3, 2\)"):
            LabelEmbeddingStore(LABELS, tonal_embeddings=torch.zeros(3, 2))
