"""Nothing of the user's is overwritten, and what cannot be written is said before the work."""

import errno
import json
import sys
from pathlib import Path

import pytest

from deepfake_detector import output_paths
from deepfake_detector.console import IncompleteError, UserError
from deepfake_detector.files import write_text, written_whole
from deepfake_detector.output_paths import (
    OutputFile,
    check_outputs,
    files_of_folder,
    has_json_keys,
    raise_incomplete,
    write_all,
)


def check(*paths, inputs=(), overwrite=False, is_ours=None):
    outputs = [OutputFile(f"--out{i}", path, is_ours) for i, path in enumerate(paths)]
    check_outputs(outputs, inputs, overwrite)


def test_a_new_file_may_be_written_and_nothing_is_left_of_the_trial(tmp_path):
    check(tmp_path / "new" / "folder" / "scores.csv", tmp_path / "scores.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_input_is_never_an_output(tmp_path, overwrite):
    model = tmp_path / "model.keras"
    model.write_text("a model")
    (tmp_path / "link").symlink_to(model)
    for path in (model, tmp_path / "." / "model.keras", tmp_path / "link"):
        with pytest.raises(UserError, match="--out0 .* is what this command reads"):
            check(path, inputs=[model], overwrite=overwrite)


def test_two_outputs_do_not_share_a_path(tmp_path):
    with pytest.raises(UserError, match="--out0 and --out1 name the same path"):
        check(tmp_path / "x", tmp_path / "folder" / ".." / "x")


def test_a_file_that_we_did_not_write_needs_overwrite(tmp_path):
    path = tmp_path / "thesis.json"
    path.write_text('{"chapters": 5}')

    def is_ours(path):
        return has_json_keys(path, "model")

    with pytest.raises(UserError, match="does not look like a file of this command.*--overwrite"):
        check(path, is_ours=is_ours)
    check(path, is_ours=is_ours, overwrite=True)
    path.write_text('{"model": "run/model.keras"}')
    check(path, is_ours=is_ours)


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a folder; give the path of a file"):
        check(tmp_path)
    with pytest.raises(UserError, match="file is a file; give the path of a folder"):
        check_outputs(files_of_folder("--out", tmp_path / "file", {}), [])


def test_a_path_below_a_file_is_found_before_the_work_and_named_as_it_was_given(tmp_path):
    (tmp_path / "file").write_text("")
    given = tmp_path / "file" / "deep" / "scores.csv"
    with pytest.raises(UserError, match=f"cannot write to --out0 {given}: .*file is a file"):
        check(given)


def test_a_name_that_is_too_long_is_found_before_the_work(tmp_path):
    with pytest.raises(UserError, match="cannot write to --out0 .*: File name too long"):
        check(tmp_path / ("n" * 250))


def test_a_folder_without_room_or_permission_is_found_before_the_work(tmp_path, monkeypatch):
    def refuse(path, data):
        raise OSError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(UserError) as raised:
        check(tmp_path / "scores.csv")
    assert f"cannot write to --out0 {tmp_path / 'scores.csv'}: Permission" in str(raised.value)
    assert ".partial" not in str(raised.value)


def test_a_file_that_cannot_be_written_after_the_work_costs_no_other(tmp_path):
    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    failed = write_all(
        {
            tmp_path / "a.csv": full,
            tmp_path / "b.json": lambda: write_text(tmp_path / "b.json", "{}"),
        }
    )
    assert (tmp_path / "b.json").exists()
    with pytest.raises(IncompleteError, match=r"could not write .*a.csv \(No space left") as raised:
        raise_incomplete(failed)
    assert raised.value.exit_code == 1
    raise_incomplete([])


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
def test_a_result_for_dev_null_does_not_take_its_place():
    """As root, the device was replaced by a file."""
    check(Path("/dev/null"), Path("/dev/null"))
    write_text(Path("/dev/null"), "lost")
    assert Path("/dev/null").is_char_device()


def test_a_write_that_fails_names_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(OSError) as raised:
        write_text(tmp_path / "missing" / "scores.csv", "")
    assert raised.value.filename == str(tmp_path / "missing" / "scores.csv")


def test_charts_of_ours_are_known(tmp_path):
    from matplotlib.figure import Figure

    Figure().savefig(tmp_path / "chart.png")
    (tmp_path / "holiday.png").write_bytes(b"\x89PNG holiday")
    assert output_paths.is_chart(tmp_path / "chart.png")
    assert not output_paths.is_chart(tmp_path / "holiday.png")
    assert not has_json_keys(tmp_path / "none.json", "model")
    (tmp_path / "x.json").write_text(json.dumps(["model"]))
    assert not has_json_keys(tmp_path / "x.json", "model")


@pytest.mark.skipif(sys.platform == "win32", reason="has no /dev")
def test_a_device_is_written_to_and_not_replaced(tmp_path):
    """`predict.py --json /dev/null` put a file in the place of the device."""
    device = tmp_path / "pipe"
    device.symlink_to("/dev/null")
    with written_whole(device) as partial:
        partial.write_text("{}")
    assert device.is_symlink() and not device.is_file()


@pytest.mark.parametrize("address", ["s3://bucket/faces", "https://example.org/scores.csv"])
def test_an_address_became_a_folder_called_https(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"--out {address} is an address, and only files are wr"):
        check_outputs([OutputFile("--out", Path(address))], [])


def test_overwrite_was_offered_by_a_command_that_does_not_have_it(tmp_path):
    (tmp_path / "settings.json").write_text("mine")
    output = OutputFile("--save-path", tmp_path / "settings.json", lambda path: False)
    with pytest.raises(UserError, match="give another path$"):
        check_outputs([output], [], overwritable=False)
