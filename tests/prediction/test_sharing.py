"""Several processes, here threads: each has a share, what they wrote is joined, and nothing that is finished is lost."""

import json
import threading
from types import SimpleNamespace

import pytest

from hf_mer.cli import main
from hf_mer.locks import BusyError, exclusive
from hf_mer.prediction import PredictionFile, collect_units, predict_all
from hf_mer.prediction.parts import SharedPredictions
from hf_mer.prediction.processes import StoppedError, Team
from hf_mer.prediction.shares import share_out, unit_size
from hf_mer.prediction.sources import Item, Unit, item_numbers

COLUMNS = ["number", "input", "line", "label", "score", "score_happy", "error"]


class ThreadTeam(Team):
    """One of several threads that meet each other as processes do."""

    def __init__(self, index, number, shared):
        super().__init__()
        self.index, self.number, self._shared = index, number, shared

    def told_by_main(self, value):
        if self.is_main:
            self._shared.told = value
        self._shared.barrier.wait()
        return self._shared.told

    def start(self, folder):
        self._shared.barrier.wait()
        self.folder = folder


class Recogniser:
    """Tells every row by its own words; notes what it was asked, and stops at some of them."""

    def __init__(self, stop_at=(), error=None):
        self.asked, self.stop_at, self.error = [], stop_at, error

    def __call__(self, inputs, **settings):
        if isinstance(inputs, list):
            return [self(one) for one in inputs]
        rows = inputs.get("dialogue", [inputs])
        for row in rows:
            self.asked.append(row.get("text") or row["audio"])
            if row.get("text") in self.stop_at:
                raise self.error
        found = [
            {"label": "happy", "scores": [{"label": "happy", "score": len(self.told(row)) / 100}]} for row in rows
        ]
        return found if "dialogue" in inputs else found[0]

    @staticmethod
    def told(row):
        return f"{row.get('text') or ''}{row.get('history') or ''}{row.get('audio') or ''}"


@pytest.fixture
def table(recordings):
    """200 rows with words, and dialogues of four turns that are yet to be heard among them, which stay together."""
    path = recordings / "calls.csv"
    rows = [f",{'so ' * (i % 7)}{i},," for i in range(200)]
    for dialogue in range(10):
        rows[13 * dialogue : 13 * dialogue] = [f"{'abc'[turn % 2 * 2]}.wav,,d{dialogue},{turn}" for turn in range(4)]
    path.write_text("audio,text,dialogue,turn\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture(params=["csv", "jsonl"])
def out(request, tmp_path):
    return tmp_path / f"p.{request.param}"


def run_alone(table, out, recognise=None, settings=None, **options):
    units = collect_units([str(table)], recognises_words=True)
    output = PredictionFile(out, COLUMNS, settings or {"columns": COLUMNS})
    return predict_all(recognise or Recogniser(), units, output, **{"batch_size": 2, **options})


def run_together(table, out, recognisers, settings=None, tables=None, **options):
    """What every process ended with."""
    number = len(recognisers)
    shared, ends = SimpleNamespace(barrier=threading.Barrier(number), told=None), [None] * number

    def run(index):
        team = ThreadTeam(index, number, shared)
        try:
            with team.one_voice():
                units = collect_units([str((tables or {}).get(index, table))], recognises_words=True)
                whole = PredictionFile(out, COLUMNS, (settings or {}).get(index, {"columns": COLUMNS}))
                output = SharedPredictions(whole, team, block=16, batch_size=2)
                ends[index] = predict_all(recognisers[index], units, output, **{"batch_size": 2, **options})
        except BaseException as error:
            ends[index] = error
            if team.folder is None:  # others may still wait for it; past the last meeting some may still wake up there
                shared.barrier.abort()

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return ends


def kill(monkeypatch, parts):
    """Lets threads die as killed processes do: locks are free, nothing is put in order."""
    monkeypatch.setattr("hf_mer.prediction.processes._PATIENCE", 0)
    return [Recogniser(stop_at, SystemError("killed")) for stop_at in parts]


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith((".p.", "p.")))


@pytest.mark.parametrize("number", [2, 3, 7])
def test_as_one_process(table, out, number):
    alone = out.with_name(f"one{out.suffix}")
    assert run_alone(table, alone) == (240, 0)
    recognisers = [Recogniser() for _ in range(number)]
    assert run_together(table, out, recognisers)[0] == (240, 0)
    assert out.read_bytes() == alone.read_bytes()
    asked = [len(recognise.asked) for recognise in recognisers]
    assert sum(asked) == 240
    assert max(asked) < 1.7 * 240 / number
    assert left(out.parent) == left_of_one(out)
    again = [Recogniser() for _ in range(number)]
    assert run_together(table, out, again)[0] == (240, 0)
    assert not any(recognise.asked for recognise in again)
    assert out.read_bytes() == alone.read_bytes()


def left_of_one(out):
    rows = [f"{out.name}.rows.jsonl"] if out.suffix == ".csv" else []
    return sorted([out.name, f"{out.name}.settings.json", *rows])


@pytest.mark.parametrize("again", [1, 2, 4])
def test_going_on_with_another_number(table, out, again, monkeypatch):
    """Every process wrote some rows, of which none is recognised again, and the order is that of the inputs."""
    alone = out.with_name(f"one{out.suffix}")
    run_alone(table, alone)
    killed = kill(
        monkeypatch, [{"so so 72", "so so 121"}, {"so so so so so so 153"}, {"so 99", "199", "so so so 199"}]
    )
    ends = run_together(table, out, killed)
    assert any(isinstance(end, SystemError) for end in ends)
    parts = out.with_name(f"{out.name}.parts")
    there = {
        json.loads(line)["number"] for part in parts.glob("*.jsonl") for line in part.read_text().splitlines()
    }  # what ended before is done
    assert 20 < len(there) < 220
    with next(parts.glob("*.jsonl")).open("a") as file:
        file.write('{"number": 9')  # a line that is cut off
    recognisers = [Recogniser() for _ in range(again)]
    if again == 1:
        assert run_alone(table, out, recognisers[0]) == (240, 0)
    else:
        assert run_together(table, out, recognisers)[0] == (240, 0)
    assert out.read_bytes() == alone.read_bytes()
    asked = sum(len(recognise.asked) for recognise in recognisers)
    assert 240 - len(there) <= asked < 240 - len(there) + 4 * 3  # half a dialogue is begun again
    assert left(out.parent) == left_of_one(out)


def test_several_go_on_where_one_was_killed(table, out):
    alone = out.with_name(f"one{out.suffix}")
    run_alone(table, alone)
    with pytest.raises(SystemError):
        run_alone(table, out, Recogniser({"so so so 101"}, SystemError()))
    recognisers = [Recogniser(), Recogniser()]
    assert run_together(table, out, recognisers)[0] == (240, 0)
    assert out.read_bytes() == alone.read_bytes()
    assert 60 < sum(len(recognise.asked) for recognise in recognisers) < 200


def test_one_killed_again_before_it_puts_its_rows_in_order(table, out, monkeypatch):
    alone = out.with_name(f"one{out.suffix}")
    run_alone(table, alone)
    run_together(table, out, kill(monkeypatch, [{"so so 121"}, {"so so so so so so 153"}]))
    monkeypatch.setattr(PredictionFile, "close", PredictionFile.release)
    with pytest.raises(SystemError):
        run_alone(table, out, Recogniser({"so so so 150"}, SystemError()))
    monkeypatch.undo()
    assert run_alone(table, out) == (240, 0)
    assert out.read_bytes() == alone.read_bytes()


def test_what_one_cannot_use_stops_all_with_one_line(table, out, monkeypatch):
    bad = "so so so so so so 153"
    recognisers = [Recogniser({bad}, ValueError("no words")) for _ in range(3)]
    ends = run_together(table, out, recognisers)
    told = [end for end in ends if isinstance(end, ValueError)]
    assert len(told) == 1
    assert f"{table}, line " in str(told[0])
    assert "no words" in str(told[0])
    silent = [end for end in ends if isinstance(end, SystemExit) and end.code == 1]
    done = [end for end in ends[1:] if isinstance(end, tuple)]  # with all of its share, before it heard of the error
    assert len(silent) + len(done) == 2
    rows = sum(part.read_text().count("\n") for part in out.with_name(f"{out.name}.parts").glob("*.jsonl"))
    assert rows
    recognisers = [Recogniser({bad}, ValueError("no words")) for _ in range(2)]
    assert run_together(table, out, recognisers, on_bad="skip")[0] == (240, 1)
    assert sum(len(recognise.asked) for recognise in recognisers) < 240 - rows + 60  # those beside a bad one twice
    assert out.read_text().count("no words") == 1


def test_one_that_dies_is_waited_for_no_longer(table, out, monkeypatch):
    """By SIGKILL it can say nothing; what it wrote is kept."""
    monkeypatch.setattr(ThreadTeam, "one_voice", Team.one_voice)
    monkeypatch.setattr(Team, "_may_speak", lambda self: True)  # and leaves no mark
    ends = run_together(table, out, kill(monkeypatch, [(), {"so so so 150"}]))
    assert isinstance(ends[1], SystemError)
    assert isinstance(ends[0], ValueError)
    assert "inputs have no predictions, since a process ended early; run the same command again" in str(ends[0])
    last = [Recogniser(), Recogniser()]
    assert run_together(table, out, last)[0] == (240, 0)
    assert 0 < sum(len(recognise.asked) for recognise in last) < 120


def test_parts_of_other_settings_or_inputs_are_refused(table, out, monkeypatch):
    run_together(table, out, kill(monkeypatch, [{"so so 121"}, {"so so so so so so 153"}]))
    with pytest.raises(ValueError, match="was made with columns .*; name another file, or give --overwrite"):
        run_alone(table, out, settings={"columns": []})
    content = table.read_text()
    table.write_text(content.replace(",so so 2,", ",so sad 2,"))
    with pytest.raises(ValueError, match="the input or its recording has changed"):
        run_alone(table, out)
    table.write_text(content)
    parts = out.with_name(f"{out.name}.parts")
    with exclusive(parts / "1.jsonl"), pytest.raises(BusyError, match=r"1\.jsonl: in use by another run"):
        run_alone(table, out)
    assert run_alone(table, out, overwrite=True) == (240, 0)
    assert not parts.exists()


def test_processes_must_have_the_same(table, out, tmp_path, monkeypatch):
    monkeypatch.setattr("hf_mer.prediction.processes._PATIENCE", 0)
    both = [Recogniser(), Recogniser()]
    settings = {index: {"columns": COLUMNS, "threshold": index} for index in range(2)}
    ends = run_together(table, out, both, settings=settings)
    assert "process 1 of 2 (host " in str(ends[1])
    assert "has another threshold than the main process" in str(ends[1])
    other = table.with_name("other.csv")
    other.write_text(table.read_text())
    ends = run_together(table, out, both, tables={1: other})
    assert "has other inputs than the main process" in str(ends[1])
    monkeypatch.setattr("hf_mer.prediction.parts._SEEN_WITHIN", 0.5)
    monkeypatch.setattr("hf_mer.prediction.parts._read", lambda path: {})
    ends = run_together(table, out, both)
    assert "all machines must share the folder of --out" in str(ends[1])
    assert not any(recognise.asked for recognise in both)


class TestShares:
    @pytest.mark.parametrize(("count", "processes"), [(0, 2), (1, 3), (63, 2), (1000, 3), (4096, 4)])
    def test_everything_once_in_order(self, count, processes):
        shares = share_out([1.0] * count, processes, 64, 8)
        assert len(shares) == processes
        assert sorted(position for share in shares for position in share) == list(range(count))
        assert all(share == sorted(share) for share in shares)
        assert max(map(len, shares)) - min(map(len, shares)) <= 64

    def test_many_inputs_are_run_as_one_process_runs_them(self):
        for share in share_out([1.0] * 1000, 3, 64, 8):
            blocks = [share[first : first + 64] for first in range(0, len(share), 64)]
            assert all(block[0] % 64 == 0 and block == list(range(block[0], block[-1] + 1)) for block in blocks)

    def test_few_inputs_give_all_work(self):
        assert sorted(map(len, share_out([1.0] * 60, 4, 64, 2))) == [14, 14, 16, 16]

    def test_a_long_recording_counts_as_much_as_many(self):
        shares = share_out([100.0, *[1.0] * 100], 2, 1, 1)
        assert shares == [[0], list(range(1, 101))]

    def test_sizes(self, recordings):
        def size(*rows, max_seconds=None):
            return unit_size(Unit([Item(row, "", {}) for row in rows]), max_seconds)

        path = str(recordings / "a.wav")
        whole = (recordings / "a.wav").stat().st_size
        assert size({"audio": path}) == whole + 1
        assert size({"audio": path}, {"audio": path, "text": "so"}) == 2 * whole + 4
        assert size({"audio": {"path": path, "start": 0, "end": 1}}) == whole + 1
        assert size({"audio": path, "audio_start": 1.0, "audio_end": 3.0}) == 64001
        assert size({"audio": path}, max_seconds=0.01) == 1921
        assert size({"audio": "nowhere.wav", "text": None}) == size({"audio": None}) == 1

    def test_numbers(self):
        units = [Unit([Item({}, "", {})] * count) for count in (1, 3, 2)]
        assert item_numbers(units) == [range(1, 2), range(2, 5), range(5, 7)]


class TestTeam:
    @pytest.fixture
    def second(self, monkeypatch):
        for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("hf_mer.prediction.processes._PATIENCE", 0)
        monkeypatch.setattr("hf_mer.prediction.processes.time.sleep", lambda seconds: None)
        return Team()

    def test_nobody_launched_it(self, monkeypatch):
        for name, value in {"RANK": "3", "WORLD_SIZE": "4"}.items():  # as a cluster may say of machines
            monkeypatch.setenv(name, value)
        team = Team()
        assert (team.index, team.number, team.is_main) == (0, 1, True)
        assert team.join("cpu") == "cpu"
        with team.main_first(), pytest.raises(KeyboardInterrupt), team.one_voice():
            raise KeyboardInterrupt

    def test_standard_output_is_refused_before_work(self, second, recordings, capsys):
        assert main(["predict", "nowhere", str(recordings)]) == 1
        assert (
            capsys.readouterr().err == "error: 2 processes share the inputs and write one file: give INPUT and --out\n"
        )

    def test_a_device_for_each(self, second):
        with pytest.raises(ValueError, match="--device cuda:1 is one device for 2 processes; give --device cuda"):
            second.join("cuda:1")

    def test_one_speaks(self, second, tmp_path):
        with pytest.raises(SystemExit, match="143"), second.one_voice():
            raise KeyboardInterrupt
        with pytest.raises(OSError, match="full"), second.one_voice():
            raise OSError("full")
        second.folder = tmp_path
        second.check()
        with pytest.raises(OSError, match="full"), second.one_voice():
            raise OSError("full")
        with pytest.raises(StoppedError):
            second.check()
        with pytest.raises(SystemExit, match="1"), second.one_voice():
            raise OSError("full")

    def test_what_fails_between_them(self, second, monkeypatch):
        def lost(*_, **__):
            raise RuntimeError("[gloo] Connection closed by peer\nat pair.cc")

        monkeypatch.setattr("accelerate.PartialState", lost)
        with pytest.raises(
            ConnectionError, match=r"another process .* or has ended: \[gloo\] Connection closed by peer$"
        ):
            second.join("cpu")
