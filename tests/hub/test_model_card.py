"""Model cards: one whole card against one pattern, metadata, what must not be in a card, and the committed cards."""

import ast
import copy
import importlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData

from hf_mer.cli import main
from hf_mer.hub import CORPORA, SYSTEMS, CardSpec, card_results, machine_paths, model_card, read_results
from hf_mer.hub.cards.card_results import clean_command
from hf_mer.hub.checkpoints import Checkpoint
from hf_mer.metrics.scores import bootstrap_intervals, confusion, emotion_scores

ROOT = Path(__file__).parents[2]
CARDS = sorted((ROOT / "model_cards").glob("*.yaml"))
LABELS = ["calm", "angry"]
# Predictions of ten utterances a class: recognised ones first.
RIGHT = {("Ses01", 1): (8, 9), ("Ses02", 1): (7, 9), ("Ses03", 1): (9, 9), ("Ses01", 2): (10, 9)}


def fold_results(fold, seed):
    truth = [0] * 10 + [1] * 10
    right = RIGHT[fold, seed]
    predicted = [0] * right[0] + [1] * (10 - right[0]) + [1] * right[1] + [0] * (10 - right[1])
    intervals = bootstrap_intervals(truth, predicted, 2, num_resamples=50)
    return {
        "fold": fold,
        "rows": {"train": 60, "validation": 20, "test": 20},
        "settings": {
            "model": {
                "type": "le_mer",
                "modalities": ["text"],
                "text_encoder": "/home/someone/models/minilm",
                "speech_encoder": "facebook/wav2vec2-base",
                "tokenizer": None,
            },
            "data": {"corpus": "iemocap", "task": "4class", "protocol": "leave_one_session_out", "use_history": True},
            "label_store": {"text_top_k": 9},
            "training": {"seed": seed, "num_train_epochs": 3, "metric_for_best_model": "ua"},
            "processes": 1,
            "split_hash": f"{fold.lower()}0123456789abcdef",
            "data_hash": "feed0123456789abcdef",
        },
        "parameters": {"all": 1234567, "trained": 34567},
        "test": {
            "scores": emotion_scores(truth, predicted, 2),
            "intervals_95": {name: list(interval) for name, interval in intervals.items()},
            "confusion": {"labels": LABELS, "matrix": confusion(truth, predicted, 2).tolist()},
            "per_class": {},
            "scores_by_part": {"improvised": {"wa": 0.5, "ua": 0.5, "wf1": 0.5, "n": 12}},
        },
        "calibration": {
            "source": "validation",
            "temperatures": {"text": 2.0 if seed == 1 else 3.0},
            "validation": {
                "text": {"utterances": 20, "ece": 0.2, "ece_calibrated": 0.05, "nll": 1, "nll_calibrated": 0.5}
            },
            "test": {
                "utterances": 20,
                "ece": 0.25,
                "ece_calibrated": 0.125,
                "nll": 1,
                "nll_calibrated": 0.5,
                "reliability": {"before": {"counts": [20]}},
            },
        },
        "history": [{"loss": 1.0}],
        "minutes": 2.5 if fold == "Ses01" else 3.5,
        "peak_memory_mib": {"host": 900.4},
        "environment": {
            "command": "/home/someone/hf_mer/recipes/train_le_mer.py --config recipes/configs/le_mer_iemocap.yaml "
            "--data_dir /data/my corpora/IEMOCAP --text_encoder /home/someone/models/minilm --learning_rates "
            '{"text_encoder": 1e-4} --output_dir /scratch/out --figures false',
            "device": "x86_64 CPU, 1 threads",
            "processes": 1,
            "python": "3.11.7",
            "versions": {"hf_mer": "0.1.0", "torch": "2.11.0"},
        },
    }


@pytest.fixture
def runs():
    return [fold_results(*key) for key in RIGHT]


@pytest.fixture
def spec():
    return CardSpec(
        name="someone/le_mer_text",
        system="le_mer",
        corpus="iemocap",
        recipe="le_mer_iemocap",
        notes="Text alone.",
        published=[{"title": "A5", "source": "Table 1", "wa": 78.11, "ua": 78.92}],
        references=[{"title": "Chance", "ua": 0.25}],
        figures=["figures/confusion_matrix.png"],
    )


STORE = {"keywords": {"calm": [["fine", 0.25], ["so", 0.125]], "angry": [["damn", 0.5]]}}

# Between § and § a regular expression, else the very text.
WHOLE_CARD = (Path(__file__).parent / "whole_card.txt").read_text(encoding="utf-8")


def as_pattern(text):
    return "".join(part if index % 2 else re.escape(part) for index, part in enumerate(text.split("§")))


def test_whole_card(runs, spec):
    content = card_results(runs, label_store=STORE, names={"/home/someone/models/minilm": "MINILM"})
    text = str(model_card(spec, content))
    whole = re.fullmatch(as_pattern(WHOLE_CARD), text)
    assert whole, text  # what differs stands in the text


def test_commands_have_the_quotes_that_a_shell_wants():
    said = 'recipes/reproduce.py --only text/* C1/* --columns {"audio": "file"} --data_dir FOLDS/fold_{seed}.csv --seeds 3'
    expected = "--only 'text/*' 'C1/*' --columns '{\"audio\": \"file\"}' --data_dir DATA_DIR --seeds 3"
    assert clean_command(said) == f"recipes/reproduce.py {expected}"


def test_genders_that_the_notes_tell_of_are_no_gap(runs, spec):
    told = replace(spec, notes="By gender (UA): women 0.8, men 0.7.")
    assert "- Differences between genders are above" in str(model_card(told, card_results(runs)))


def test_memory_of_runs_with_and_without_a_gpu(runs, spec):
    runs[0]["peak_memory_mib"] = {"host": 800.0, "gpu": 2000.4}
    assert "2000 MiB (gpu), 900 MiB (host)" in str(model_card(spec, card_results(runs)))


def test_several_corpora_are_named_with_their_licences(runs, tmp_path):
    for run in runs:
        run["settings"]["data"]["corpus"] = "ravdess,manifest"
    config = {"model_type": "le_mer", "id2label": dict(enumerate(LABELS)), "modalities": ["text"], "temperatures": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    checkpoint = Checkpoint(tmp_path, runs, [])
    text = checkpoint.card("someone/model")
    assert "\n# LE-MER on RAVDESS (speech), manifest\n" in text
    assert (
        "Trained on several corpora, whose terms all apply:\n\n- RAVDESS (speech): RAVDESS is under CC BY-NC-SA"
        in text
    )
    assert "\n- manifest: <!-- say under which licence" in text
    assert "\n# Mine\n" in checkpoint.card("someone/model", title="Mine", notes="")


def test_groups_of_speakers_without_their_names(runs, spec):
    people = {"Ada L": 0.5, "Bob": 0.7, "Cy": 0.9}
    for run in runs:
        run["test"]["by_group"] = {
            "gender": {
                "female": {"wa": 0.25, "ua": 0.5, "wf1": 0.5, "n": 7},
                "male": {"wa": 1, "ua": 1, "wf1": 1, "n": 3},
            },
            "speaker": {name: {"wa": ua, "ua": ua, "wf1": ua, "n": 4} for name, ua in people.items()},
        }
    content = card_results(runs)
    text = str(model_card(spec, content))
    assert "| female | 0.250 ± 0.000 | 0.500 ± 0.000 | 0.500 ± 0.000 | 21 |" in text
    assert "| Speakers (4 utterances each) | lowest | median | highest |" in text
    assert "| UA | 0.500 | 0.700 | 0.900 |" in text
    assert "- Differences between genders are above" in text
    assert "were not measured.\n" in text
    assert not any(name in text + repr(content) for name in people)


def test_settings_of_a_recipe_give_a_card_without_a_number(spec):
    settings = yaml.safe_load((ROOT / "recipes/configs/le_mer_iemocap.yaml").read_text())
    text = str(
        model_card(CardSpec("a", "le_mer", "iemocap", recipe="le_mer_iemocap"), card_results(settings=settings))
    )
    assert "| **LE-MER, this package** | not measured | not measured | not measured |" in text
    assert "model-index" not in text
    assert "base_model:\n- bert-base-uncased\n- facebook/wav2vec2-base\n" in text
    results = text.split("## Results")[1].split("## Protocol")[0]
    assert not re.search(r"\d\.\d", results)
    for name in ("parameters", "minutes per run", "peak memory", "hardware", "versions"):
        assert f"| {name} | not measured |" in text


def test_the_largest_layers_of_a_learned_mixture(runs, spec):
    assert " layers |" not in str(model_card(spec, card_results(runs)))
    for number, run in enumerate(runs):
        run["layer_weights"] = {"speech": [0.1, 0.4, 0.05, 0.45] if number % 2 else [0.1, 0.2, 0.15, 0.55]}
    text = str(model_card(spec, card_results(runs)))
    odd = len(runs) // 2 / len(runs)
    first, second = 0.45 * odd + 0.55 * (1 - odd), 0.4 * odd + 0.2 * (1 - odd)
    found = re.search(r"\| speech layers \| learned mixture of 0 to 3, largest weights: (.*) \|", text)
    third = 0.05 * odd + 0.15 * (1 - odd)
    last = f"0 ({0.1:.2f})" if third <= 0.1 else f"2 ({third:.2f})"
    assert found[1] == f"3 ({first:.2f}), 1 ({second:.2f}), {last}"


def test_adapters_are_told_where_there_were_any(runs, spec):
    assert "| adapters |" not in str(model_card(spec, card_results(runs)))
    for run in runs:
        run["settings"]["model"]["lora_rank"] = 8
    text = str(model_card(spec, card_results(runs)))
    assert "34,567 trained |\n| adapters | LoRA of rank 8 on the encoders' attention, merged |\n" in text


def test_results_from_before_there_was_calibration(runs, spec):
    for run in runs:
        del run["calibration"]
    text = str(model_card(spec, card_results(runs)))
    assert "### Calibration\n\nNot measured.\n\n## Protocol" in text
    assert "- Probabilities are not calibrated, and are less reliable" in text


def test_calibration_of_every_modality(runs, spec):
    scores = {"utterances": 20, "ece": 0.2, "ece_calibrated": 0.1, "nll": 1, "nll_calibrated": 0.5}
    run = {
        **runs[0],
        "calibration": {
            "source": "validation",
            "temperatures": {"text+speech": 1.5, "text": 0.25},
            "validation": {"text+speech": scores, "text": scores},
            "test": {**scores, "ece": 0.3, "reliability": {}},
            "test_with_one_modality": {"speech": {**scores, "ece": 0.4}},
        },
    }
    content = card_results(run)
    assert "reliability" not in content["runs"][0]["calibration"]["test"]
    text = str(model_card(spec, content))
    assert "| text+speech | 1.500 | 0.200 | 0.100 | 0.300 | 0.100 |" in text
    assert "| text | 0.250 | 0.200 | 0.100 | - | - |" in text
    assert "| speech | - | - | - | 0.400 | 0.100 |" in text
    assert "- Probabilities are calibrated on the validation split" in text


def test_a_run_without_a_validation_part_is_not_calibrated(runs, spec):
    scores = {"utterances": 20, "ece": 0.2, "ece_calibrated": 0.2, "nll": 1, "nll_calibrated": 1}
    run = {**runs[0], "calibration": {"source": None, "temperatures": {}, "test": scores}}
    text = str(model_card(spec, card_results(run)))
    assert "no temperature was fitted" in text
    assert "| all inputs | - | - | - | 0.200 | - |" in text
    assert "- Probabilities are not calibrated" in text


def test_one_run_shows_its_own_interval(runs, spec):
    run = runs[0]
    low, high = run["test"]["intervals_95"]["ua"]
    text = str(model_card(spec, card_results(run)))
    assert f"| 0.850 [{low:.3f}, {high:.3f}] |" in text
    assert "±" not in text


def test_raters_and_skewed_labels_have_a_line_where_they_are_not_off(runs, spec):
    plain = str(model_card(spec, card_results(runs)))
    assert not [word for word in ("### Raters", "class weights", "label smoothing", "| targets") if word in plain]
    for run, mean in zip(runs, (0.1, 0.2, 0.3, 0.4, 0.1, 0.1), strict=False):
        run["settings"]["training"].update(class_weights="balanced", label_smoothing_factor=0.1, soft_targets=True,
                                           train_sampling_strategy="balanced")  # fmt: skip
        run["test"]["rater_divergence"] = {"mean": mean, "n": 15}
    text = str(model_card(spec, card_results(runs[0])))
    assert "in bits (0 where they are the same, at most 1): 0.100 over 15 test utterances with votes." in text
    assert "| class weights | balanced, by the rows of each class in the training split |" in text
    assert "| label smoothing | 0.1 |" in text
    assert "| sampling | every class equally often in an epoch |" in text
    assert "| targets | shares of the raters' votes, where an utterance has any |" in text
    assert "±" in str(model_card(spec, card_results(runs))).partition("### Raters")[2].partition("###")[0]


def test_a_card_of_a_generated_corpus_says_that_it_is_a_demonstration(runs):
    text = str(model_card(CardSpec("x", "le_mer", "generated", language="pl"), card_results(runs)))
    assert "**A demonstration.** This model was trained on made-up sentences and synthetic speech" in text
    assert "raters of its corpus" not in text
    assert "ages and cultures" not in text
    assert "language: pl\n" in text
    assert "`DATA_DIR` is a folder that `hf-mer generate DATA_DIR --language pl` writes." in text
    assert "A demonstration" not in str(model_card(CardSpec("x", "le_mer", "ravdess"), card_results(runs)))


@pytest.mark.parametrize(
    ("path", "command", "row"),
    [
        ("/x/site-packages/hf_mer/configs/le_mer_iemocap.yaml", "recipes/configs/le_mer_iemocap.yaml", None),
        ("/home/me/mine.yaml", "CONFIG", "| recipe | none of this package; all settings are below |"),
    ],
)
def test_settings_files_keep_their_names_where_others_have_them(runs, path, command, row):
    environment = runs[0]["environment"]
    environment["command"] = environment["command"].replace("recipes/configs/le_mer_iemocap.yaml", path)
    text = str(model_card(CardSpec("x", "le_mer", "iemocap"), card_results(runs[:1])))
    assert f"recipes/train_le_mer.py --config {command} --data_dir" in text
    assert (row or f"| recipe | `{command}` |") in text
    assert ("`CONFIG` is a file with the settings below." in text) == (command == "CONFIG")


def test_the_card_elsewhere_has_its_figures_beside_it(runs, tmp_path, monkeypatch, capsys):
    fold = tmp_path / "runs" / "Ses01"
    (fold / "model").mkdir(parents=True)
    config = {"model_type": "le_mer", "id2label": dict(enumerate(LABELS)), "temperatures": {"text": 2.0}}
    (fold / "model" / "config.json").write_text(json.dumps(config))
    (fold / "results.json").write_text(json.dumps({**runs[0], "generated_corpus": True}))
    (fold / "figures").mkdir()
    (fold / "figures" / "curves.png").write_bytes(b"a figure")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["card", "runs/Ses01", "--out", "cards/README.md"]) == 0
    text = Path("cards/README.md").read_text()
    assert "![Curves](figures/curves.png)" in text
    assert Path("cards/figures/curves.png").read_bytes() == b"a figure"
    assert 'model="runs/Ses01/model"' in text
    assert "- name: le_mer_generated\n" in text
    Path("cards/figures/curves.png").write_bytes(b"a photograph")
    assert main(["card", "runs/Ses01", "--out", "cards/README.md"]) == 1
    assert "cards/figures/curves.png: not written by this command" in capsys.readouterr().err


def test_an_experiment_is_its_folds(runs, spec):
    experiment = {"folds": runs[:3], "summary": {}, "split_hash": "0"}
    assert card_results(experiment) == card_results(runs[:3])


def test_seeds_of_one_fold_are_the_units(runs, spec):
    text = str(model_card(spec, card_results([runs[0], runs[3]])))
    assert "over 2 seeds; 2 runs, 20 test utterances" in text
    assert "| **LE-MER, this package** | 0.900 ± 0.071 " in text  # 0.85 and 0.95


def test_a_row_of_a_table_has_scores_and_nothing_else(spec):
    scores = {"wa": {"mean": 0.586, "std": 0.051, "n": 6}, "ua": {"mean": 0.578, "std": None, "n": 6}}
    summary = {"scores": scores, "over": "folds", "source": "a table", "utterances": 1440}
    content = {**card_results(), "summary": summary}
    card = model_card(spec, content)
    assert "| **LE-MER, this package** | 0.586 ± 0.051 | 0.578 | not recorded |" in str(card)
    assert [(result.metric_name, result.metric_value) for result in card.data.eval_results] == [
        ("WA", 0.586),
        ("UA", 0.578),
    ]


def test_config_tells_classes_and_modalities_where_nothing_ran():
    content = card_results(config={"id2label": {"1": "b", "0": "a", "10": "k"}, "modalities": ["speech"]})
    text = str(model_card(CardSpec("m", "mgcma", "own"), content))
    assert "Classes: a, b, k. Inputs: speech." in text
    assert 'recognise("hello.wav")' in text


@pytest.mark.parametrize("name", CORPORA)
@pytest.mark.parametrize("system", SYSTEMS)
def test_metadata_is_the_hubs(name, system, runs):
    runs = copy.deepcopy(runs)
    for run in runs:
        run["settings"]["model"]["type"] = system
    spec = CardSpec("x", system, name, emissions={"emissions": 12.5, "source": "a power meter"})
    card = model_card(spec, card_results(runs))
    data = ModelCardData(**yaml.safe_load(card.data.to_yaml()))
    assert data.to_dict() == card.data.to_dict()
    assert ModelCard(str(card)).data.to_dict() == data.to_dict()
    assert data.license == "apache-2.0"
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "text-classification"
    assert data.base_model is None  # it came from a folder
    assert data.co2_eq_emissions["emissions"] == 12.5
    assert ("generated-corpus" in data.tags) == (not CORPORA[name]["real"])
    results = {result.metric_name: result for result in data.eval_results}
    assert set(results) == {"WA", "UA", "WF1"}
    assert results["WA"].metric_type == "accuracy"
    assert results["WA"].metric_value == pytest.approx((0.9 + 0.8 + 0.9) / 3, abs=1e-4)  # Ses01 is 0.85 and 0.95
    assert results["UA"].metric_args == {"average": "macro"}
    assert results["WF1"].metric_args == {"average": "weighted"}
    assert results["WA"].dataset_args == {"utterances": 60, "protocol": "leave_one_session_out", "runs": 4}


def test_runs_of_other_settings_are_refused(runs):
    runs[2]["settings"]["training"]["num_train_epochs"] = 4
    with pytest.raises(ValueError, match=r"run 2 \(fold Ses03\).*num_train_epochs differ"):
        card_results(runs)


def test_a_run_counts_once(runs):
    with pytest.raises(ValueError, match="seed 1, fold Ses01 is there twice"):
        card_results([runs[0], runs[1], runs[0]])


def test_results_of_another_system_are_refused(runs):
    with pytest.raises(ValueError, match="x is declared as mgcma, but its results are of le_mer"):
        model_card(CardSpec("x", "mgcma", "iemocap"), card_results(runs))


def test_what_is_no_results_file_is_refused():
    with pytest.raises(ValueError, match=r"neither results of a fold nor of an experiment \(keys: loss\)"):
        card_results({"loss": 1})
    with pytest.raises(ValueError, match="fold 'Ses01' lack rows, settings, test"):
        card_results({"fold": "Ses01"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see /home/me/corpus.", ["/home/me/corpus."]),
        ("~/runs and C:\\runs", ["~/runs", "C:\\runs"]),
        ("https://arxiv.org/abs/2309.02106, WA/UA, a/b/c, text/speech/video, </summary>", []),
    ],
)
def test_machine_paths(text, found):
    assert machine_paths(text) == found


def test_a_card_names_no_path_of_a_machine(runs, spec):
    assert not machine_paths(json.dumps(card_results(runs)))
    with pytest.raises(ValueError, match="paths of this machine: /home/me/x"):
        model_card(CardSpec("x", "le_mer", "iemocap", notes="as in /home/me/x"), card_results(runs))
    with pytest.raises(ValueError, match="must lie beside the card"):
        model_card(CardSpec("x", "le_mer", "iemocap", figures=["../a.png"]), card_results(runs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": "bert"}, "system 'bert' is not one of le_mer, mgcma, wavfusion"),
        ({"corpus": "cremad"}, "corpus 'cremad' is not one of iemocap, meld"),
        ({"published": [{"title": "A", "wa": 1.0}]}, "needs source, title, and may have any of wa, ua, wf1"),
        ({"references": [{"title": "A", "acc": 1.0}]}, "references has a row"),
        ({"emissions": {"emissions": 1}}, "needs the keys emissions .grams of CO2. and source"),
    ],
)
def test_wrong_specifications_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        CardSpec(**{"name": "x", "system": "le_mer", "corpus": "iemocap", **change})


def test_wrong_specification_files_are_refused(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("system: le_mer\ncorpus: meld\npublish: []\n")
    with pytest.raises(ValueError, match=r"a\.yaml: needs system and corpus, and may have any of .*publish'"):
        CardSpec.from_yaml(path)


def test_programs_of_the_cards_run(tiny_checkpoint, write_wav, write_video, tmp_path):
    """As somebody without this package runs them: in an empty cache, from folders of the cards' names."""
    from media_files import save_film_checkpoint

    tiny_checkpoint("le_mer_iemocap", temperatures={"text+speech": 0.01})
    tiny_checkpoint("le_mer_meld_text", modalities=["text"], temperatures={"text": 0.02})
    save_film_checkpoint(tmp_path / "wavfusion_meld")
    write_wav("hello.wav")
    write_video("clip.mp4")
    programs = [
        program
        for name in ("le_mer_iemocap", "le_mer_meld_text", "wavfusion_meld")
        for program in re.findall(r"```python\n(.+?)```", (ROOT / f"model_cards/{name}.md").read_text(), re.DOTALL)
    ]
    assert len(programs) == 6
    code = "import sys\nsys.modules['hf_mer'] = None\n" + "\n".join(programs)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    for name in ("HF_MODULES_CACHE", "HF_HUB_CACHE", "TRANSFORMERS_CACHE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [ast.literal_eval(line) for line in done.stdout.strip().splitlines()]
    assert len(lines) == 9  # the pipeline also explains
    for from_pipeline, from_model in ((lines[0], lines[2]), (lines[3], lines[5]), (lines[6], lines[8])):
        expected = {item["label"]: item["score"] for item in from_pipeline}
        assert from_model == pytest.approx(expected, abs=2e-3)  # with the same temperatures


def test_the_command_needs_json_alone(runs, tmp_path):
    """A fold's results and configuration: no weights, no torch; the files that are pushed are named beside the card."""
    (tmp_path / "model").mkdir()
    config = {"model_type": "le_mer", "id2label": dict(enumerate(LABELS)), "temperatures": {"text": 2.0}}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    (tmp_path / "results.json").write_text(json.dumps(runs[0]))
    code = (
        "import sys; from hf_mer.cli import main; main(sys.argv[1:])\n"
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules), sorted(sys.modules)"
    )
    command = [sys.executable, "-c", code, "card", tmp_path, "--name", "me/emotions"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "| **LE-MER, this package** | 0.850 [" in done.stdout
    assert done.stderr.splitlines() == [
        "`hf-mer push` would upload:", "  README.md", "  config.json", "  results.json",
    ]  # fmt: skip


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "model_cards")
    return importlib.import_module("render")


def test_results_are_taken_up_by_command(script, runs, tmp_path, monkeypatch, capsys):
    for run in runs:
        folder = tmp_path / "runs" / f"seed{run['settings']['training']['seed']}" / run["fold"]
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(json.dumps(run))
        inner = folder / "nested" / "lr=0.1" / run["fold"]
        inner.mkdir(parents=True)
        (inner / "results.json").write_text(json.dumps(run))
    (tmp_path / "runs" / "seed1" / "results.json").write_text(json.dumps({"folds": runs[:3]}))
    (tmp_path / "store.json").write_text(json.dumps(STORE))
    (tmp_path / "card.yaml").write_text("system: le_mer\ncorpus: own\n")
    monkeypatch.setattr(script, "CARDS", tmp_path)
    command = f"x card --results {tmp_path / 'runs'} --label_store {tmp_path / 'store.json'} --name /home/someone/models/minilm=MINI"
    monkeypatch.setattr(sys, "argv", command.split())
    script.main()
    content = json.loads((tmp_path / "card.json").read_text())
    assert [(run["seed"], run["fold"]) for run in content["runs"]] == [
        (1, "Ses01"), (1, "Ses02"), (1, "Ses03"), (2, "Ses01"),
    ]  # fmt: skip
    assert content["settings"]["text_encoder"] == "MINI"
    assert content["keywords"]["angry"] == [["damn", 0.5]]
    assert "history" not in content["runs"][0]
    text = (tmp_path / "card.md").read_text()
    assert "over 3 folds, each the mean over its seeds (2 in all); 4 runs, 60 test utterances" in text
    with pytest.raises(ValueError, match=r"no results\.json of a fold"):
        read_results(tmp_path / "runs" / "seed1" / "Ses01", ROOT / "model_cards")


def test_every_released_configuration_has_a_card():
    assert {path.stem for path in CARDS} == {
        "le_mer_iemocap", "le_mer_meld_text", "le_mer_ravdess", "le_mer_ravdess_whisper", "le_mer_paired", "le_mer_generated", "mgcma_iemocap",
        "mgcma_generated", "wavfusion_iemocap", "wavfusion_meld", "wavfusion_generated",
    }  # fmt: skip
    assert {path.stem for path in CARDS} == {path.stem for path in (ROOT / "model_cards").glob("*.md")} - {"README"}


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_committed_card_is_up_to_date(path, script):
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert text == script.render(path.stem), "python model_cards/render.py, and look at what changed"
    assert not machine_paths(text)
    results = path.with_suffix(".json")
    assert not results.exists() or not machine_paths(results.read_text(encoding="utf-8"))
    card = ModelCard(text)
    assert (card.data.eval_results is None) == ("not measured | not measured | not measured" in text)
    assert (ROOT / "recipes" / "configs" / f"{CardSpec.from_yaml(path).recipe}.yaml").is_file()
