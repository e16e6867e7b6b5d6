"""The benchmark of the calibration: its table."""

from benchmarks import calibration


def test_the_table_has_a_row_for_each_case_and_number_of_videos(capsys):
    assert calibration.main(["--draws", "2"]) == 0
    _, _, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == len(calibration.CASES) * len(calibration.SIZES)
    of_400_shifted = rows[-1].split(" ± ")[0]
    assert float(of_400_shifted.split()[-1]) < -0.1
