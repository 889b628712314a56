"""What a fresh server shows first is stored by a command."""

from scripts import make_first_paint


def test_it_stores_the_prediction_of_the_default_scene(tmp_path, capsys):
    assert make_first_paint.main(["--out", str(tmp_path / "first.npz")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'first.npz'}: 19 frames, ")
    assert (tmp_path / "first.npz").stat().st_size > 1000


def test_what_cannot_be_done_is_answered_in_one_sentence(tmp_path, capsys):
    assert make_first_paint.main(["--model", "none", "--out", str(tmp_path / "first.npz")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    out = tmp_path / "nowhere" / "first.npz"
    assert make_first_paint.main(["--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert told == f"make_first_paint.py: cannot write {out} (No such file or directory)\n"
