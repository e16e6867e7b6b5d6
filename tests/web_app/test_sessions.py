"""What the page keeps for visitors, and for how long."""

import pytest

from deepfake_detector.prediction.verdicts import Rule, judge
from deepfake_detector.prediction.windows import VideoFaces
from deepfake_detector.web_app.sessions import KEPT_RESULTS, Result, Session, Sessions


def unreadable(session: Session) -> Result:
    upload = session.folder.parent / "a.mp4"
    upload.touch()
    number, path = session.take(upload)
    judged = judge(path, VideoFaces(problem="no video"), [], Rule(0.5, 5.0))
    return Result(number, "a.mp4", judged, session.folder_of(number))


def test_a_tab_finds_its_own_results_and_no_other(tmp_path):
    sessions = Sessions(tmp_path)
    mine, yours = sessions.of("mine"), sessions.of("yours")
    mine.add(unreadable(mine))
    assert sessions.of("mine").results and not yours.results
    assert sessions.by_token(mine.token) is mine
    assert mine.token != yours.token and len(mine.token) >= 32
    for guess in ("", "mine", "../mine", mine.token[:-1]):
        assert sessions.by_token(guess) is None


def test_files_go_after_the_tab_was_closed(tmp_path):
    sessions = Sessions(tmp_path, kept_sec=0.0)
    session, other = sessions.of("a"), sessions.of("b")
    session.add(unreadable(session))
    sessions.remove_old()
    assert session.folder.is_dir()
    with session.working() as cancelled:
        sessions.left("a")
        assert cancelled.is_set()
    sessions.remove_old()
    assert not session.folder.exists() and sessions.by_token(session.token) is None
    assert other.folder.is_dir()


def test_what_is_begun_after_a_cancel_is_not_cancelled(tmp_path):
    session = Sessions(tmp_path).of("a")
    with session.working() as first:
        session.cancel()
        with session.working() as second:
            assert first.is_set() and not second.is_set()


def test_who_comes_back_in_time_finds_everything(tmp_path):
    """A telephone that falls asleep closes the connection."""
    sessions = Sessions(tmp_path, kept_sec=0.0)
    session = sessions.of("a")
    sessions.left("a")
    assert sessions.of("a") is session
    sessions.remove_old()
    assert session.folder.is_dir()


def test_a_session_keeps_the_latest_results_and_deletes_the_files_of_the_others(tmp_path):
    session = Sessions(tmp_path).of("a")
    for _ in range(KEPT_RESULTS + 2):
        session.add(unreadable(session))
    assert [result.number for result in session.results] == list(range(3, KEPT_RESULTS + 3))
    assert len(list(session.folder.iterdir())) == KEPT_RESULTS
    assert session.result(1) is None and session.result(3) is not None


def test_the_same_video_of_two_visitors_is_taken_by_both(tmp_path):
    """The server keeps equal uploads as one file; the first to be done deleted it."""
    sessions, upload = Sessions(tmp_path), tmp_path / "a.mp4"
    upload.write_text("a video")
    taken = [sessions.of(name).take(upload)[1] for name in ("one", "other")]
    taken[0].unlink()
    assert taken[1].read_text() == upload.read_text() == "a video"


@pytest.mark.parametrize("number", [None, 0, 7])
def test_a_number_that_is_not_there_is_no_result(tmp_path, number):
    session = Sessions(tmp_path).of("a")
    session.add(unreadable(session))
    assert session.result(number) is None
