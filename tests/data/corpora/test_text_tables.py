"""Tables as people's programs write them: no row may vanish in another."""

import logging

import pytest

from hf_mer.data.corpora.text_tables import read_table
from hf_mer.data.schema import CorpusError


@pytest.fixture
def read(tmp_path):
    def read(text, name="t.csv", encoding="utf-8", **kwargs):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return read_table(path, **kwargs)

    return read


def rows(lines):
    return [tuple(line.values.values()) for line in lines]


def test_open_quotes_swallow_no_rows(read, caplog):
    text = "file\ttext\tlabel\n" + "".join(f"{n}.wav\t{q}Well {n}\tsad\n" for n, q in zip("abcde", ['', '"', '', '"', ''],
                                                                                         strict=True))  # fmt: skip
    found = read(text, "t.tsv")
    assert rows(found) == [(f"{n}.wav", f'{q}Well {n}', "sad") for n, q in zip("abcde", ['', '"', '', '"', ''],
                                                                              strict=True)]  # fmt: skip
    assert [line.number for line in found] == [2, 3, 4, 5, 6]
    assert "t.tsv: quotes inside cells are read as characters, such as in line 3 (2 lines" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        'text,label\n"Well,sad\nOh,happy\n',  # up to the end of the file
        'text,label\nOh,happy\n"Well" he said,sad\n',
        'text,label\n"Well,sad\nOh,happy\n"Yes, well",sad\n',
    ],
)
def test_the_only_way_that_makes_all_rows_whole(read, text, caplog):
    assert len(read(text)) == text.count("\n") - 1
    assert "are read as characters" in caplog.text


def test_what_can_be_read_in_two_ways_is_refused(read):
    with pytest.raises(CorpusError, match=r"lines 2 to 3: a quote joins them into one row.*\n.*double the quotes"):
        read('label,text\nsad,"Well\nhappy,Oh"\nsad,No\n')


def test_neither_way(read):
    with pytest.raises(CorpusError, match="line 3: a quote is not closed"):
        read('text,label\nOh,sad\n"Well,sad\nNo\n')


def test_cells_of_several_lines(read, caplog):
    found = read('label,text\nsad,"Well,\nhello, you"\nhappy,"say ""no"""\n')
    assert rows(found) == [("sad", "Well,\nhello, you"), ("happy", 'say "no"')]
    assert [line.number for line in found] == [2, 4]
    assert not caplog.text


def test_all_rows_with_other_numbers_of_cells(read):
    with pytest.raises(CorpusError) as caught:
        read("a,b\n1\n1,2\n1,2,3\n")
    assert [problem.split("line ")[1] for problem in caught.value.problems] == [
        "2: 1 cells, but the header has 2 columns",
        "4: 3 cells, but the header has 2 columns",
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a;b\n1,5;2\n", "t.csv"),
        ("a\tb\n1,5\t2\n", "t.csv"),
        ("a;b\n1,5;2\n", "t.tsv"),
        ("sep=;\na;b\n1,5;2\n", "t.csv"),
        ("a, well;b, yes, no\n1,5;2\n", "t.csv"),
    ],
)
def test_delimiters(read, text, name):
    assert rows(read(text, name)) == [("1,5", "2")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(read, encoding):
    (line,) = read("text,label\nfröhlich,sad\n", encoding=encoding)
    assert line.values == {"text": "fröhlich", "label": "sad"}


def test_other_bytes(read, tmp_path):
    with pytest.raises(
        CorpusError, match="line 1: a NUL character; save it as UTF-8, or give .* --encoding utf-16-le"
    ):
        read("a,b\n1,2\n", encoding="utf-16-le")
    with pytest.raises(CorpusError, match="line 2: not utf-8 at byte 6"):
        read("a,b\n1,ö\n", encoding="latin-1")
    assert rows(read_table(tmp_path / "t.csv", "cp1252")) == [("1", "ö")]
    with pytest.raises(CorpusError, match=r"t\.csv: encoding 'cp12' is not known; use one such as utf-8, cp1252"):
        read_table(tmp_path / "t.csv", "cp12")
    with pytest.raises(CorpusError, match="at byte 6; save it as UTF-8$"):  # where nobody can say another
        read_table(tmp_path / "t.csv", None)


def test_headers(read, caplog):
    with pytest.raises(CorpusError, match=r"line 1: columns \['a'\] occur twice"):
        read("a,b, a\n1,2,3\n")
    with caplog.at_level(logging.INFO):
        assert [line.values for line in read(",a,\n0,x,\n1,y,\n")] == [{"a": "x"}, {"a": "y"}]
    assert "line 1: column 1 has no name and is left out" in caplog.text


def test_json_lines(read):
    with pytest.raises(CorpusError) as caught:
        read('{"a": 1}\n\n{"a": 1, "a": 2}\n[1]\n{"a"\n', "t.jsonl")
    told = [problem.split("line ", 1)[1] for problem in caught.value.problems]
    assert told[0] == "3: keys ['a'] occur twice"
    assert told[1] == "4: a JSON list; write one object per line"
    assert told[2].startswith("5: not JSON")


def test_one_column_of_several_lines_is_told(read, caplog):
    assert rows(read('text\n"Well,\nhello"\nOh\n')) == [("Well,\nhello",), ("Oh",)]
    assert "lines 2 to 3 are one row" in caplog.text
