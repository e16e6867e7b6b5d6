"""A message says what to type: here it is taken out of the message as it was printed, and typed.

A row is a command that fails, a regular expression that finds the remedy in what it prints, and
the command to type then: `{line}` is the one that failed, `{0}` and `{1}` are what the expression
found. After that it works. What is to be done by hand first is a shell command.
"""

import importlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import TINY

PROCESSING = "processing.py --location videos --save-path faces --face-size 64 --workers 1"
SAMPLE = "sample_data.py --out drawn --frame-size 64 --seconds 0.1 --workers 1"
TRAIN = f"train.py --data faces --out run {' '.join(TINY)} --epochs 1 --num-frames 1"
EVALUATE = "evaluate.py --model model --data faces --out report --strips 0"
PREDICT = "predict.py one/person_000.mp4 --model model --workers 0"


class Row(NamedTuple):
    line: str
    remedy: str
    typed: str
    before: str = ""  # a shell command that makes it fail
    by_hand: str = ""  # what the message wants done first, `{0}` as above


class Shell(NamedTuple):
    code: int
    printed: str


@pytest.fixture
def type_line(capsys) -> Callable[[str], Shell]:
    """Types a command line, in this process."""

    def typed(line: str) -> Shell:
        script, *words = shlex.split(line.removeprefix("python "))
        main = importlib.import_module(script.removesuffix(".py")).main
        try:
            code = main(words)
        except SystemExit as end:  # of argparse
            code = end.code
        shown = capsys.readouterr()
        return Shell(code, shown.out + shown.err)

    return typed


@pytest.fixture
def folder(sample_videos, sample_faces, tmp_path, monkeypatch) -> Path:
    """The current folder: videos, their faces, and a folder with one of the videos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").symlink_to(sample_videos)
    shutil.copytree(sample_faces, "faces")
    (tmp_path / "one").mkdir()
    shutil.copy(sample_videos / "person_000.mp4", "one")
    return tmp_path


def follow(row: Row, type_line: Callable[[str], Shell]) -> Shell:
    """Type the command, take the remedy out of what it prints, and type that; return what that
    gave."""
    subprocess.run(row.before, shell=True, check=True)
    failed = type_line(row.line)
    assert failed.code in {1, 2}, failed.printed
    found = re.search(row.remedy, failed.printed)
    assert found, f"no {row.remedy} in: {failed.printed}"
    subprocess.run(row.by_hand.format(*found.groups()), shell=True, check=True)
    # What a message cannot know.
    remedy = [
        group.replace("VIDEOS", "videos").replace("FACES", "more") for group in found.groups()
    ]
    return type_line(row.typed.format(*remedy, line=row.line))


VIDEOS = {
    "faces-of-another-size": Row(
        f"{PROCESSING} --face-size 96", r"give (--face-size 64),", "{line} {0}"
    ),
    "faces-without-boxes-of-originals": Row(
        f"{PROCESSING} --margin 0.5 --capture-sec 2",
        r"give (--capture-sec 5 --margin 0.3), another",
        "{line} {0}",
    ),
    "faces-made-again": Row(f"{PROCESSING} --margin 0.5", r"or (--overwrite) to", "{line} {0}"),
    "faces-elsewhere": Row(
        f"{PROCESSING} --margin 0.5", r"another (--save-path)", "{line} {0} elsewhere"
    ),
    "some-faces-of-other-settings": Row(
        f"{PROCESSING} --margin 0.5 --num-vids 2 --overwrite",
        r"another (--save-path)$",
        "{line} {0} elsewhere",
    ),
    "into-the-videos": Row(
        f"{PROCESSING} --save-path videos",
        r"give a folder of its own, such as (\w+)",
        "{line} --save-path {0}",
    ),
    "into-a-folder-of-something-else": Row(
        f"{PROCESSING} --save-path mine",
        r"another (--save-path)",
        "{line} {0} elsewhere",
        before="mkdir mine; touch mine/thesis.txt",
    ),
    "into-a-model": Row(
        f"{PROCESSING} --save-path mine",
        r"give another path$",
        "{line} --save-path elsewhere",
        before="""mkdir mine; echo '{"training": {}}' > mine/settings.json""",
    ),
    "into-an-address": Row(
        f"{PROCESSING} --save-path s3://bucket/faces",
        r"only files are written; give a path of this machine",
        "{line} --save-path elsewhere",
    ),
    "damaged-settings-of-faces": Row(
        PROCESSING,
        r"is damaged.* with: (python processing\.py .*)",
        "{0} --workers 1",
        before="echo x > faces/settings.json",
    ),
    "damaged-metadata-of-faces": Row(
        PROCESSING,
        r"(\S+metadata\.json) is damaged; delete it, then run the same processing.py command again",
        "{line}",
        before="echo [1] > faces/metadata.json",
        by_hand="rm {0}",
    ),
    "too-little-time": Row(
        f"{PROCESSING} --save-path late --timeout-sec 1e-6",
        r"give it more with (--timeout-sec)",
        "{line} {0} 60",
    ),
    "no-such-part": Row(
        f"{PROCESSING} --shard 3/2", r"--shard is .*, such as (\S+) for", "{line} --shard {0}"
    ),
    "no-such-detector": Row(
        f"{PROCESSING} --detector faces", r"(--detector) is .* must be (haar)", "{line} {0} {1}"
    ),
    "no-size": Row(
        f"{PROCESSING} --save-path small --face-size 8",
        r"(--face-size) is 8; it must be at least (\d+)",
        "{line} {0} {1}",
    ),
    "no-number-of-videos": Row(
        f"{PROCESSING} --num-vids 0",
        r"(--num-vids) is 0; it must be at least (\d)",
        "{line} {0} {1}",
    ),
    "nothing-says-real-or-fake": Row(
        "processing.py --location one --save-path some --workers 1",
        r"list the videos in a (\S+videos\.csv)",
        "{line}",
        by_hand="printf 'path,label\\nperson_000.mp4,real\\n' > {0}",
    ),
    "more-fakes-than-people": Row(
        f"{SAMPLE} --num-people 4 --fakes-per-person 3",
        r"or give (--fakes-per-person 1)$",
        "{line} {0}",
    ),
    "another-set-of-videos": Row(
        f"{SAMPLE} --num-people 2 --fps 10",
        r"or (--fps 25.0)$",
        "{line} {0}",
        before="mkdir drawn; cp videos/sample_settings.json drawn; sed -i "
        "'s/: 8,/: 2,/; s/: 160/: 64/; s/: 0.5/: 0.1/; s/\"fps\": 20.0/\"fps\": 25.0/' drawn/*",
    ),
    "videos-of-somebody-else": Row(
        f"{SAMPLE} --num-people 2",
        r"another (--out)$",
        "{line} {0} elsewhere",
        before="mkdir drawn; echo {} > drawn/metadata.json",
    ),
    "no-process": Row(
        f"{SAMPLE} --num-people 2 --workers 0",
        r"(--workers) is 0; it must be at least (1)",
        "{line} {0} {1}",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("row", VIDEOS.values(), ids=VIDEOS)
def test_what_a_message_about_videos_says_helps(row, folder, type_line):
    done = follow(row, type_line)
    assert done.code == 0, done.printed


SCORES = {
    "a-table-of-somebody": Row(
        f"{PREDICT} --csv labels.csv",
        r"or (--overwrite) to replace it",
        "{line} {0}",
        before="echo filename,label > labels.csv; echo a.mp4,1 >> labels.csv",
    ),
    "a-result-in-the-place-of-the-model": Row(
        f"{PREDICT} --json model/model.keras", r"give a path of its own", "{line} --json x.json"
    ),
    "one-path-for-two": Row(
        f"{PREDICT} --csv x --json x", r"(--csv) and --json name the same", "{line} {0} y"
    ),
    "a-format-without-a-file": Row(
        f"{PREDICT} --csv-format dfdc", r"the file of (--csv); give", "{line} {0} x.csv"
    ),
    "a-label-without-a-format": Row(
        f"{PREDICT} --csv x.csv --no-face-score 0.3", r"give (--csv-format dfdc)", "{line} {0}"
    ),
    "nothing-to-resume-by": Row(
        f"{PREDICT} --resume", r"the file of (--json), --csv or --html; give", "{line} {0} x.json"
    ),
    "a-stream-to-resume-by": Row(
        f"{PREDICT} --resume --json /dev/null", r"(--csv) or --html; give one", "{line} {0} x.csv"
    ),
    "an-explanation-without-a-place": Row(
        f"{PREDICT} --explain", r"the folder of (--annotate) or", "{line} {0} pictures"
    ),
    "pictures-among-the-videos": Row(
        "predict.py one --model model --workers 0 --annotate one",
        r"(--annotate) one is a folder to score; give a folder of its own",
        "{line} {0} pictures",
    ),
    "no-such-operating-point": Row(
        f"{PREDICT} --operating-point fpr-1", r"give (--operating-point half)", "{line} {0}"
    ),
    "no-such-model": Row(
        f"{PREDICT} --model model/modle.keras", r"; there is (\S+)$", "{line} --model {0}"
    ),
    "the-wrong-folder-of-a-model": Row(
        f"{PREDICT} --model one", r"give (--model) the (model.keras) of", "{line} {0} model/{1}"
    ),
    "too-little-time": Row(
        f"{PREDICT} --timeout-sec 1e-6", r"give it more with (--timeout-sec)", "{line} {0} 60"
    ),
    "a-report-of-somebody": Row(
        EVALUATE,
        r"or (--overwrite) to replace it",
        "{line} {0}",
        before="mkdir report; echo mine > report/metrics.json",
    ),
    "nothing-unseen": Row(
        EVALUATE,
        r"has not seen; (--split all) scores every video",
        "{line} {0}",
        before="python3 -c \"import json; p = 'model/split.json'; m = json.load(open(p)); "
        "m['train'] += m['test']; m['test'] = []; json.dump(m, open(p, 'w'))\"",
    ),
    "nobody-knows-what-was-seen": Row(
        EVALUATE, r"(--split all) scores every video", "{line} {0}", before="rm model/split.json"
    ),
    "no-such-operating-point-in-a-report": Row(
        f"{EVALUATE} --operating-point fpr-5", r"give (--operating-point half)", "{line} {0}"
    ),
    "a-folder-twice": Row(
        f"{EVALUATE} --data faces faces", r"(--data) .* name it once", "{line} {0} faces"
    ),
    "faces-of-other-settings": Row(
        f"{EVALUATE} --data tight",
        r"make others with: (python processing\.py .*--face-size 64.*)",
        "{0} --workers 1",
        before="cp -r faces tight; sed -i '/margin_ratio/s/0.3/0.1/' tight/settings.json",
    ),
    "videos-in-the-place-of-faces": Row(
        f"{EVALUATE} --data one", r"with: (python processing\.py .*)", "{0} --workers 1"
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", SCORES.values(), ids=SCORES)
def test_what_a_message_about_scores_says_helps(row, folder, run, type_line):
    shutil.copytree(run, "model")
    done = follow(row, type_line)
    assert done.code == 0, done.printed


BEGINNINGS = {
    "videos-in-the-place-of-faces": Row(
        f"{TRAIN} --data videos",
        r"with: (python processing\.py --location videos .*)",
        "{0} --workers 1",
    ),
    "a-batch-too-large": Row(f"{TRAIN} --batch-size 64", r"(--batch-size \d+)$", "{line} {0}"),
    "an-official-split-with-leaks": Row(
        TRAIN,
        r"train\.py (--ignore-official-split)",
        "{line} {0}",
        before="""sed -i '0,/"split": "train"/s//"split": "test"/' faces/metadata.json""",
    ),
    "no-test-split": Row(
        f"{TRAIN} --validation-share 0.5",
        r"do without it: (--test-share 0)$",
        "{line} {0}",
        before="python3 -c \"import json; m = json.load(open('faces/metadata.json')); "
        "json.dump({k: e | {'split': 'train' if k[7:10] > '003' else 'validation', 'original': "
        "None, 'group': 'one' if k[7:10] > '003' else 'two'} for k, e in m.items()}, "
        "open('faces/metadata.json', 'w'))\"",
    ),
    "no-pretrained-model-of-it": Row(
        f"{TRAIN} --from pretrained", r"give (--from random)", "{line} {0}"
    ),
    "no-weights-of-imagenet": Row(
        f"{TRAIN} --from imagenet", r"give (--from random)", "{line} {0}"
    ),
    "a-lost-crop": Row(
        TRAIN,
        r"delete this folder, then run the same processing.py command again",
        f"{PROCESSING}",
        before="rm faces/person_000.mp4/001.jpeg",
        by_hand="rm -r faces/person_000.mp4",
    ),
    "no-seed": Row(f"{TRAIN} --seed -1", r"(--seed) is -1; it must be from (0)", "{line} {0} {1}"),
    "pictures-too-small": Row(
        f"{TRAIN} --img-size 16", r"(--img-size) is 16; it must be at least (32)", "{line} {0} {1}"
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("row", BEGINNINGS.values(), ids=BEGINNINGS)
def test_what_a_message_before_a_training_says_lets_it_begin(row, folder, type_line, monkeypatch):
    def begin(*args: object) -> None:
        raise SystemExit(0)

    import train

    monkeypatch.setattr(train, "train_splits", begin)
    done = follow(row, type_line)
    assert done.code == 0, done.printed


TRAININGS = {
    "no-fakes": Row(
        f"{TRAIN}",
        r"make fakes from the real: (--self-blend 1)",
        "{line} {0}",
        before="sed -i s/FAKE/REAL/ faces/metadata.json",
    ),
    "another-run": Row(
        f"{TRAIN} --seed 3 --out model", r"or (--overwrite) to replace it", "{line} {0}"
    ),
    "another-run-elsewhere": Row(
        f"{TRAIN} --seed 3 --out model", r"give another (--out)", "{line} {0} elsewhere"
    ),
    "a-damaged-checkpoint": Row(
        f"{TRAIN} --out model --epochs 2 --num-frames 3",
        r"(--overwrite) trains again",
        "{line} {0}",
        before="echo x > model/checkpoints/state.npz",
    ),
    "first-weights-of-another-network": Row(
        f"{TRAIN} --from model --architecture efficientnet-lite0",
        r"give (--architecture baseline),",
        "{line} {0}",
    ),
    "a-rate-too-high": Row(
        f"{TRAIN} --learning-rate 1e30", r"a lower (--learning-rate)$", "{line} {0} 1e-4"
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", TRAININGS.values(), ids=TRAININGS)
def test_what_a_message_about_a_training_says_helps(row, folder, run, type_line):
    shutil.copytree(run, "model")
    done = follow(row, type_line)
    assert done.code == 0, done.printed
