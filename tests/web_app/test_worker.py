"""One process does the work for everybody; what happens to it happens to one job only.

A stand-in without a model does the jobs here: each job is a list of words that says what to do.
"""

import os
import threading
import time

import pytest

from deepfake_detector.web_app import worker as worker_module
from deepfake_detector.web_app.worker import CancelledError, Waiting, Worker, WorkerDiedError
from deepfake_detector.web_app.worker_process import Done, Progress


def serve_words(connection, task):
    while True:
        for word in connection.recv():
            if word == "crash":
                os._exit(11)
            if word == "hang":
                threading.Event().wait()
            connection.send(Progress(word))
        connection.send(Done())


class Task:
    timeout_sec = 0.0


@pytest.fixture
def worker(monkeypatch):
    monkeypatch.setattr(worker_module, "serve", serve_words)
    worker = Worker(Task())
    worker.start()
    yield worker
    worker.stop()


def words_of(worker, *words, cancelled=None):
    return [event.words for event in worker.run(list(words), cancelled or threading.Event())]


def test_what_happens_is_heard_while_it_happens(worker):
    assert words_of(worker, "reading", "scoring") == ["reading", "scoring"]


def test_a_file_that_crashes_the_decoder_costs_no_other_job(worker):
    with pytest.raises(WorkerDiedError, match="the file may crash the decoder"):
        words_of(worker, "reading", "crash")
    assert words_of(worker, "next") == ["next"]


def test_a_process_that_died_between_two_jobs_is_replaced(worker):
    worker._process.kill()
    worker._process.join()
    assert words_of(worker, "next") == ["next"]


def test_a_job_is_cancelled_whatever_it_is_at(worker):
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    with pytest.raises(CancelledError):
        words_of(worker, "reading", "hang", cancelled=cancelled)
    assert words_of(worker, "next") == ["next"]


def test_who_goes_away_in_the_middle_holds_nobody_up(worker):
    events = worker.run(["reading", "hang"], threading.Event())
    assert next(events).words == "reading"
    events.close()
    assert words_of(worker, "next") == ["next"]


def test_a_process_that_is_silent_for_too_long_is_ended(worker, monkeypatch):
    with monkeypatch.context() as impatient:
        impatient.setattr(worker, "_silence_sec", 1.0)
        with pytest.raises(WorkerDiedError, match="took more than"):
            words_of(worker, "hang")
    assert words_of(worker, "next") == ["next"]


def test_who_comes_second_is_told_to_wait_and_has_a_turn(worker):
    cancelled = threading.Event()
    first = worker.run(["reading", "hang"], cancelled)
    assert next(first).words == "reading"
    second = worker.run(["next"], threading.Event())
    assert next(second) == Waiting(before=1)
    cancelled.set()
    with pytest.raises(CancelledError):
        next(first)
    assert [event.words for event in second] == ["next"]


def test_who_waits_can_cancel(worker):
    first, cancelled = worker.run(["reading", "hang"], threading.Event()), threading.Event()
    next(first)
    second = worker.run(["never"], cancelled)
    assert next(second) == Waiting(before=1)
    cancelled.set()
    with pytest.raises(CancelledError):
        next(second)
    first.close()


def test_many_at_once_lose_nothing(worker):
    heard = {}

    def visit(name):
        heard[name] = [
            e.words for e in worker.run([name], threading.Event()) if hasattr(e, "words")
        ]

    visitors = [threading.Thread(target=visit, args=[str(number)]) for number in range(8)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(60)
    assert heard == {str(number): [str(number)] for number in range(8)}


def test_the_process_ends_with_the_page(worker):
    process = worker._process
    worker._connection.close()  # as when the page is killed
    for _ in range(100):
        if not process.is_alive():
            break
        time.sleep(0.1)
    assert not process.is_alive()
    worker.start()
