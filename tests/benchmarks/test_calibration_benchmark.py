"""The benchmark of the calibration: its table, and the scores that it takes."""

import numpy as np

from benchmarks import calibration


def test_the_table_has_a_row_for_each_case_and_number_of_videos(capsys):
    assert calibration.main(["--draws", "2"]) == 0
    _, _, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == len(calibration.CASES) * len(calibration.SIZES)
    of_400_shifted = rows[-1].split(" ± ")[0]
    assert float(of_400_shifted.split()[-1]) < -0.1


def test_real_scores_are_split_within_each_class(tmp_path, capsys):
    path = tmp_path / "predictions.csv"
    rows = [f"{n}.mp4,{n % 2},{0.3 + 0.4 * (n % 2) + 0.01 * (n % 9)},f,d" for n in range(40)]
    path.write_text("\n".join(["filename,label,score,face,data", *rows]))
    sample = calibration.read_predictions(path)
    for half in next(calibration.halves(*sample, 1)):
        assert np.bincount(half[0]).tolist() == [10, 10]
    assert calibration.main(["--predictions", str(path), "--draws", "2"]) == 0
    assert f"{tmp_path.name}"[:22] in capsys.readouterr().out


def test_a_file_without_scores_is_one_sentence(tmp_path, capsys):
    path = tmp_path / "scores.csv"
    path.write_text("filename,label\na.mp4,0.5\n")
    assert calibration.main(["--predictions", str(path)]) == 2
    assert "is not a predictions.csv" in capsys.readouterr().err
