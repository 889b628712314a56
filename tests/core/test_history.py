"""A run's history: written row by row, read as it grows, refused where it is damaged."""

import math
import os
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import history
from core.history import (
    COLUMNS,
    HEADER,
    HistoryError,
    HistoryReader,
    append,
    line_of,
    lines_until,
    read_history,
)

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
rows = st.dictionaries(st.sampled_from(COLUMNS), numbers)
tables = st.lists(st.tuples(st.sampled_from(history.KINDS), rows), max_size=12)


def text_of(table):
    return HEADER + "".join(line_of(kind, row) for kind, row in table)


def steps(*numbers):
    return [("step", {"epoch": 1, "step": number, "loss": 1 / number}) for number in numbers]


def assert_same(found, expected):
    for kind in ("steps", "epochs"):
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(found, kind)[name], getattr(expected, kind)[name])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.csv"


class TestRows:
    def test_a_line_by_hand(self):
        line = line_of(
            "epoch", {"epoch": 2, "step": 500, "minutes": 1.5, "learning_rate": 1e-3, "loss": 0.25}
        )
        assert line == "epoch,2,500,1.5,0.001,nan,nan,0.25,nan,nan,nan,nan,nan,nan,nan,nan\n"

    @pytest.mark.parametrize(
        ("kind", "row", "message"),
        [
            ("day", {}, "kind must be step or epoch; got 'day'"),
            ("step", {"vgg": 1.0, "a": 2.0}, "a history has no column a, vgg"),
        ],
    )
    def test_what_has_no_place_is_refused(self, path, kind, row, message):
        with pytest.raises(ValueError, match=message):
            append(path, kind, row)

    def test_an_epoch_is_on_disk_when_append_returns(self, path, monkeypatch):
        synced = []
        monkeypatch.setattr("core.history.os.fsync", synced.append)
        append(path, "step", {"step": 1})
        assert not synced
        append(path, "epoch", {"step": 1})
        assert len(synced) == 1

    def test_an_empty_file_of_a_crash_gets_its_header(self, path):
        path.touch()
        append(path, "step", {"step": 3})
        assert read_history(path).steps["step"].tolist() == [3]

    @given(table=tables)
    def test_round_trip(self, tmp_path_factory, table):
        path = tmp_path_factory.mktemp("history") / "history.csv"
        for kind, row in table:
            append(path, kind, row)
        found = read_history(path)
        for kind, columns in (("step", found.steps), ("epoch", found.epochs)):
            expected = [row for its_kind, row in table if its_kind == kind]
            for name in COLUMNS:
                # nine digits hold a float32 exactly
                wanted = [row.get(name, math.nan) for row in expected]
                np.testing.assert_array_equal(columns[name].astype("f4"), np.array(wanted, "f4"))


class TestReading:
    def test_no_file_is_an_empty_history(self, path):
        found = read_history(path)
        assert all(len(found.steps[name]) == len(found.epochs[name]) == 0 for name in COLUMNS)

    def test_a_torn_line_appears_once_when_it_is_whole(self, path):
        whole = text_of(steps(1, 2)).encode()
        reader = HistoryReader(path)
        for end in range(len(whole) + 1):
            path.write_bytes(whole[:end])  # the same file, grown by a byte
            count = max(whole[:end].count(b"\n") - 1, 0)
            assert reader.read().steps["step"].tolist() == [1, 2][:count]

    @given(table=tables, cuts=st.lists(st.floats(0, 1), max_size=6))
    def test_reading_as_it_grows_equals_reading_it_whole(self, tmp_path_factory, table, cuts):
        path = tmp_path_factory.mktemp("history") / "history.csv"
        data = text_of(table).encode()
        reader = HistoryReader(path)
        places = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
        with path.open("ab") as file:
            for start, end in pairwise(places):
                file.write(data[start:end])
                file.flush()
                found = reader.read()
        assert_same(found, read_history(path))

    def test_what_was_read_before_does_not_change(self, path):
        reader = HistoryReader(path)
        path.write_text(text_of(steps(1, 2)))
        before = reader.read()
        for number in range(3, 300):  # past the table's first size
            append(path, "step", {"step": number})
            reader.read()
        assert before.steps["step"].tolist() == [1, 2]
        with pytest.raises(ValueError, match="read-only"):
            before.steps["step"][0] = 7

    def test_a_replaced_file_is_read_anew(self, path):
        path.write_text(text_of(steps(1, 2, 3)))
        reader = HistoryReader(path)
        reader.read()
        other = path.with_name("other")
        other.write_text(text_of(steps(1, 7, 8, 9)))
        os.replace(other, path)
        assert reader.read().steps["step"].tolist() == [1, 7, 8, 9]

    def test_another_file_of_the_same_identity_is_read_anew(self, path):
        """A run deleted and begun again under its name: a new file may get the inode of a deleted one."""
        path.write_text(text_of(steps(1, 2)))
        reader = HistoryReader(path)
        reader.read()
        identity = path.stat().st_ino
        path.write_text(text_of(steps(4, 5, 6)))
        assert path.stat().st_ino == identity
        assert reader.read().steps["step"].tolist() == [4, 5, 6]
        path.write_text(text_of(steps(8)))
        assert reader.read().steps["step"].tolist() == [8]
        path.unlink()
        assert reader.read().steps["step"].tolist() == []

    def test_line_ends_of_another_system_are_read(self, path):
        path.write_bytes(text_of(steps(1, 2)).replace("\n", "\r\n").encode())
        assert read_history(path).steps["step"].tolist() == [1, 2]

    def test_a_refresh_reads_only_what_is_new(self, path, monkeypatch):
        path.write_text(text_of(steps(*range(1, 100_001))))
        reader = HistoryReader(path)
        parsed = []
        numbers = history._numbers
        monkeypatch.setattr(history, "_numbers", lambda lines: parsed.append(len(lines)) or numbers(lines))
        assert len(reader.read().steps["step"]) == 100_000
        append(path, "step", {"step": 100_001})
        with path.open("rb") as file:
            new = reader._new_bytes(file)
        assert new.decode() == line_of("step", {"step": 100_001})
        assert reader.read().steps["step"][-1] == 100_001
        reader.read()
        assert parsed == [100_000, 1, 0]

    def test_threads_see_whole_rows_only(self, path):
        reader = HistoryReader(path)
        faults = []

        def look():
            for _ in range(60):
                found = reader.read().steps
                count = len(found["step"])
                if found["step"].tolist() != list(range(1, count + 1)) or (found["loss"] != 2.5).any():
                    faults.append(count)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(1, 301):
            append(path, "step", {"step": number, "loss": 2.5})
        for thread in threads:
            thread.join()
        assert not faults
        assert len(reader.read().steps["step"]) == 300


class TestDamage:
    @pytest.mark.parametrize(
        ("line", "fault"),
        [
            ("day,1,2\n", "line 3 is neither a step's nor an epoch's"),
            ("\n", "line 3 is neither a step's nor an epoch's"),
            ("step,1,2\n", "line 3 has 3 values, not 16"),
            ("step," + ",".join("1" * 16) + "\n", "line 3 has 17 values, not 16"),
            ("epoch," + ",".join("1" * 14) + ",x\n", "line 3 has a value that is not a number"),
            ("epoch," + "," * 14 + "\n", "line 3 has a value that is not a number"),
            ("step," + ",".join("1" * 14) + ",1_0\n", "line 3 has a value that is not a number"),
        ],
    )
    @pytest.mark.parametrize("seen_before", [False, True])
    def test_damaged_rows_are_named_with_their_line(self, path, line, fault, seen_before):
        path.write_text(text_of(steps(1)))
        reader = HistoryReader(path)
        if seen_before:
            reader.read()
        with path.open("a") as file:
            file.write(line + line_of("step", {"step": 2}))
        for _ in range(2):  # and again: what was refused is not half taken
            with pytest.raises(HistoryError, match=f"^history.csv is damaged: {fault}$"):
                reader.read()

    def test_another_csv_is_refused(self, path):
        path.write_text("a,b\n1,2\n")
        with pytest.raises(HistoryError, match="its first line is not a history's"):
            read_history(path)

    def test_bytes_are_refused(self, path):
        path.write_bytes(HEADER.encode() + b"\xff\xfe\n")
        with pytest.raises(HistoryError, match="it is not plain text"):
            read_history(path)

    def test_a_mended_file_is_read(self, path):
        path.write_text(text_of(steps(1)) + "junk\n")
        reader = HistoryReader(path)
        with pytest.raises(HistoryError, match="line 3"):
            reader.read()
        path.write_text(text_of(steps(1, 2)))
        assert reader.read().steps["step"].tolist() == [1, 2]


class TestLinesUntil:
    def test_rows_after_the_step_and_a_torn_line_go(self, path):
        table = [*steps(10, 20), ("epoch", {"epoch": 1, "step": 25}), *steps(30)]
        path.write_text(text_of(table) + "step,1,2")
        assert lines_until(path, 25) == text_of(table[:3])
        assert lines_until(path, 9) == HEADER
        assert lines_until(path, 1000) == text_of(table)

    def test_no_file_and_an_empty_one_are_a_header(self, path):
        assert lines_until(path, 5) == HEADER
        path.touch()
        assert lines_until(path, 5) == HEADER

    def test_a_torn_line_need_not_be_text(self, path):
        path.write_bytes(text_of(steps(1)).encode() + b"step,\xff\x00\x00")
        assert lines_until(path, 5) == text_of(steps(1))

    def test_a_damaged_file_is_refused(self, path):
        path.write_text("x\n")
        with pytest.raises(HistoryError, match="is damaged"):
            lines_until(path, 5)


class TestFilesFromBeforeAColumn:
    """A column that was added is empty in older files."""

    OLD = ",".join(("kind", *history.COLUMNS[: history.FIRST_COLUMNS])) + "\n"
    ROW = "step,1,10,0.5,0.001,0,0,0.7,0.7,nan,nan,nan,nan,nan\n"

    def test_are_read_with_the_column_empty(self, tmp_path):
        path = tmp_path / "history.csv"
        path.write_text(self.OLD + self.ROW)
        reader = history.HistoryReader(path)
        assert np.isnan(reader.read().steps["mse"]).tolist() == [True]
        with path.open("a") as file:
            file.write(self.ROW)
        assert reader.read().steps["bce"].tolist() == [0.7, 0.7]

    def test_get_it_where_a_run_goes_on(self, tmp_path):
        path = tmp_path / "history.csv"
        path.write_text(self.OLD + self.ROW)
        path.write_text(history.lines_until(path, 10))
        history.append(path, "step", {"epoch": 1, "step": 20, "mse": 0.25})
        steps = history.read_history(path).steps
        assert steps["step"].tolist() == [10, 20]
        assert steps["mse"][1] == 0.25
