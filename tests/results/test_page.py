"""A page about verdicts: what it says, that it is safe to open, that everybody can use it."""

import dataclasses
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepfake_detector.face_dataset.boxes import Crop
from deepfake_detector.prediction.scores import Explanation, ScoredFace
from deepfake_detector.prediction.task import Destinations, output_files, prepare_task
from deepfake_detector.prediction.verdicts import JudgedVideo, Rule, judge
from deepfake_detector.prediction.windows import Moment, VideoFaces, Window, WindowFace
from deepfake_detector.results import page as pages
from deepfake_detector.results.page import (
    STYLE,
    Listed,
    ModelWords,
    card_details,
    explained_moment,
    model_words,
    occlusion_overlay,
    page,
    prefix_of,
    verdict_section,
    write_page,
)
from deepfake_detector.scoring.calibration import OperatingPoint

RULE = Rule(0.6, 5.0, uncertain=(0.5, 0.7))
WORDS = ModelWords(("What the threshold means.",), ("It errs.", "It is blind."), "# Card <b>")
BAD_NAME = "<img src=x onerror=alert(1)>.mp4"
WITHOUT_END = {"meta", "img", "input"}


class Parsed(HTMLParser):
    """The elements of a page, in order, with their attributes; checks that all are closed."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in WITHOUT_END:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def crop(tmp_path) -> Crop:
    path = tmp_path / "000.jpeg"
    cv2.imwrite(str(path), np.full((64, 64, 3), 120, np.uint8))
    return Crop(path, 3, 0.12, (1.0, 2.0, 3.0, 4.0), "detected")


def video(crop: Crop, *scores: float, moments=(0.3, 0.8, 0.4), rule=RULE, **facts) -> JudgedVideo:
    """A video of a window of 5 seconds, with a face for each of the scores."""
    times = [Moment(0.5 + number / 2, (str(crop.path),)) for number in range(len(moments))]
    faces = tuple(
        WindowFace(number, Path("face"), 0.0, 5.0, 125, 125, (crop,), tuple(times))
        for number in range(len(scores))
    )
    window = Window(0, 0.0, 5.0, 125, 120 if faces else 0, faces)
    scored = [
        ScoredFace(window, face, score, tuple(moments))
        for face, score in zip(faces, scores, strict=True)
    ]
    facts = {"frame_sec": 0.04, "video_sec": 5.04} | facts
    return judge(Path("a.mp4"), VideoFaces([window], **facts), scored, rule)


def section_of(judged: JudgedVideo, **options) -> Parsed:
    return Parsed(verdict_section(judged, WORDS, **{"name": "a.mp4"} | options))


def test_the_verdict_comes_first_then_why_then_what_it_is_not(crop):
    judged = video(crop, 0.9, video_sec=120.0)
    text = " ".join(section_of(judged).text.split())
    parts = (
        "FAKE a.mp4",
        "The score 0.900 is above the threshold 0.6.",
        "What the threshold means.",
        "What it rests on",
        "5.0 of 120.0 seconds",
        "96%",
        "Be careful Only 5.0 of 120.0 seconds",
        "Why",
        "What this is not",
        "It errs. It is blind.",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("scores", "facts", "badge", "sentence"),
    [
        ((0.7,), {}, "FAKE", "The score 0.700 is above the threshold 0.6."),
        ((0.1,), {}, "REAL", "The score 0.100 is below the threshold 0.6."),
        ((0.6,), {}, "UNCERTAIN", "The score 0.600 is too close to the threshold 0.6 to tell."),
        ((), {"no_face_note": "no face in it"}, "NO FACE", "No face in it. So there is no score."),
    ],
)
def test_every_verdict_has_its_word_and_a_sentence(crop, scores, facts, badge, sentence):
    parsed = section_of(video(crop, *scores, **facts))
    assert badge in parsed.text
    assert sentence in parsed.text
    assert ("What the threshold means." in parsed.text) == bool(scores)
    assert "It is blind." in parsed.text


def test_what_cannot_be_read_says_why():
    judged = judge(Path("a.mp4"), VideoFaces(problem="text, not a video"), [], RULE)
    text = section_of(judged).text
    assert "UNREADABLE" in text
    assert "Text, not a video. So there is no score." in text
    assert "What it rests on" not in text


def test_a_name_is_a_name_also_if_it_is_html(crop):
    html = page(
        [verdict_section(video(crop, 0.9), WORDS, name=BAD_NAME)],
        WORDS,
        BAD_NAME,
        [Listed("FAKE", BAD_NAME, "v1"), Listed("REAL", "\x1b[2J\u202e.mp4", "v2")],
    )
    parsed = Parsed(html)
    assert BAD_NAME in parsed.text
    assert "<b>" in parsed.text
    assert not any("onerror" in attributes for _, attributes in parsed.elements)
    assert not {"\x1b", "\u202e"} & set(html)


def test_the_page_loads_nothing_and_runs_nothing(crop):
    parsed = Parsed(page([verdict_section(video(crop, 0.9), WORDS, name="a.mp4")], WORDS, "a.mp4"))
    (policy,) = (meta["content"] for meta in parsed.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "script-src" not in policy
    assert not parsed.all("script") + parsed.all("link")
    for _, attributes in parsed.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"url\(|@import|http", STYLE)


def test_two_videos_share_no_id_and_every_link_leads_somewhere(crop):
    prefixes = [prefix_of(Path(name)) for name in ("a.mp4", "b.mp4")]
    sections = [
        verdict_section(video(crop, 0.9, 0.2), WORDS, name="a.mp4", prefix=prefix)
        for prefix in prefixes
    ]
    parsed = Parsed(
        page(sections, WORDS, "2 videos", [Listed("FAKE", "a.mp4", prefix) for prefix in prefixes])
    )
    ids = Counter(attributes["id"] for _, attributes in parsed.elements if "id" in attributes)
    assert set(ids.values()) == {1}
    named = [label["for"] for label in parsed.all("label")]
    named += [link["href"].removeprefix("#") for link in parsed.all("a")]
    named += [a["aria-labelledby"] for _, a in parsed.elements if "aria-labelledby" in a]
    assert set(named) <= set(ids)
    assert {f"{prefix}-moment" for prefix in prefixes} == {r["name"] for r in parsed.all("input")}


def test_each_moment_is_chosen_by_a_labelled_radio_button(crop):
    parsed = section_of(video(crop, 0.2, 0.9), prefix="v7")
    radios = parsed.all("input")
    places = [(radio["data-face"], radio["data-moment"]) for radio in radios]
    # The deciding face comes first, and its highest-scoring moment is chosen.
    assert places == [("1", "0"), ("1", "1"), ("1", "2"), ("0", "0"), ("0", "1"), ("0", "2")]
    assert [place for place, r in zip(places, radios, strict=True) if "checked" in r] == [
        ("1", "1")
    ]
    assert [label["for"] for label in parsed.all("label")] == [radio["id"] for radio in radios]
    assert "Face 2 at 1.0 s, score 0.800" in " ".join(parsed.text.split()).replace(" ,", ",")
    # Pictures within labels are named by these.
    assert {image["alt"] for image in parsed.all("img")} >= {"", "Face 2 at 1.0 s"}
    charts = parsed.all("svg")
    assert [chart["role"] for chart in charts] == ["img", "img"]
    assert charts[0]["aria-label"] == (
        "Face 2: Scores of 3 moments, from 0.30 to 0.80; the highest at 1.0 seconds; 1 at or above "
        "the threshold 0.6."
    )
    assert "2; face 2 has the highest score and decides" in parsed.text


def test_another_moment_is_chosen_where_asked_for_and_has_its_map(crop):
    parsed = section_of(
        video(crop, 0.9, 0.2), chosen=(1, 2), maps={(1, 2): b"\x89PNG", (0, 0): b"\xff\xd8"}
    )
    (chosen,) = (radio for radio in parsed.all("input") if "checked" in radio)
    assert (chosen["data-face"], chosen["data-moment"]) == ("1", "2")
    maps = [image for image in parsed.all("img") if image["alt"].startswith("Map of")]
    assert [image["src"].split(";")[0] for image in maps] == ["data:image/jpeg", "data:image/png"]
    with pytest.raises(IndexError, match="face 1 has no moment 3"):
        section_of(video(crop, 0.9, 0.2), chosen=(1, 3))


def test_a_long_face_shows_few_moments_the_highest_among_them(crop):
    moments = [0.1] * 300
    moments[7] = 0.9
    parsed = section_of(video(crop, 0.3, moments=moments))
    shown = [radio["data-moment"] for radio in parsed.all("input")]
    assert len(shown) == 25
    assert "7" in shown
    assert len(parsed.all("circle")) == 300


def test_of_many_faces_the_highest_scoring_are_shown(crop):
    parsed = section_of(video(crop, *[0.1] * 9, 0.9))
    assert len(parsed.all("svg")) == 6
    assert "4 more with lower scores are not shown." in parsed.text


def test_a_video_without_a_timeline_has_one_moment(crop):
    parsed = section_of(video(crop, 0.9, moments=()))
    assert [radio["data-moment"] for radio in parsed.all("input")] == ["0"]
    assert "Choose a moment" not in parsed.text
    (chart,) = parsed.all("svg")
    assert chart["aria-label"] == "Face 1: The score 0.900 is at or above the threshold 0.6."


def test_a_face_whose_crop_is_gone_is_still_a_moment(crop):
    crop.path.unlink()
    parsed = section_of(video(crop, 0.9))
    assert len(parsed.all("input")) == 3
    assert not parsed.all("img")
    assert "no picture" in parsed.text


def test_the_windows_of_a_whole_video_are_in_one_chart(crop):
    one = video(crop, 0.2)
    face = dataclasses.replace(one.faces[0].face, start_sec=5.0, end_sec=9.0)
    later = Window(1, 5.0, 9.0, 100, 100, (face,))
    faces = [one.faces[0], ScoredFace(later, face, 0.9, (0.9, 0.8, 0.9))]
    judged = judge(Path("a.mp4"), VideoFaces([one.found.windows[0], later]), faces, RULE)
    parsed = section_of(judged)
    assert parsed.all("svg")[0]["aria-label"].startswith("All windows: Scores of 6 moments")
    assert parsed.all("svg")[1]["aria-label"].startswith("Face 1 from 5.0 s on: ")
    assert "5.0 to 9.0 s; 1 of 2 are at or above the threshold" in parsed.text
    assert "each further face or window is one more chance of a mistake" in parsed.text


def test_the_map_of_the_deciding_face_lies_over_its_highest_moment(crop):
    clip = np.full((2, 32, 32, 3), 128, np.uint8)
    effects = np.zeros((32, 32))
    effects[:16] = 1.0
    explanation = Explanation(clip, effects, np.zeros(2))
    judged = video(crop, 0.2, 0.9)
    assert explained_moment(judged) == {}
    (place, jpeg), *rest = explained_moment(
        dataclasses.replace(judged, explanation=explanation)
    ).items()
    assert (place, rest) == ((1, 1), [])
    assert jpeg == occlusion_overlay(explanation, frame=0)
    blue, _, red = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[20, 100]
    assert int(red) > int(blue) + 40


def test_the_words_of_the_shipped_model_have_its_rates_and_its_weaknesses():
    task = prepare_task(None)
    words = model_words(task)
    point = OperatingPoint(
        "equal-error", 0.5, (0.4, 0.6), 0.316, (0.2, 0.45), 0.37, (0.3, 0.4), {"real": 9, "fake": 8}
    )
    measured = model_words(dataclasses.replace(task, operating_point=point))
    assert measured.threshold == (
        "A score lies between 0, real, and 1, fake.",
        "Of 100 real videos like those the model was tuned on, about 32 (20 to 45 with 95 % "
        "confidence) score above the threshold.",
        "A score between 0.4 and 0.6 may be on the wrong side: UNCERTAIN.",
    )
    assert measured.limits[0] == (
        "The model makes mistakes: of 100 real videos about 32 (20 to 45 with 95 % confidence) "
        "score as fakes, and of 100 fakes about 37 (30 to 40 with 95 % confidence) score as real, "
        "measured on 9 real and 8 fake videos. A verdict is a hint and no proof."
    )
    assert words.limits[1] == task.model_settings["weaknesses"]
    assert words.card.startswith("# Model card")


def test_a_model_that_knows_nothing_of_its_errors_says_so(tmp_path):
    task = dataclasses.replace(
        prepare_task(None),
        operating_point=OperatingPoint("half", 0.5),
        model_settings={},
        model_path=tmp_path / "model.keras",
    )
    words = model_words(task)
    assert words.threshold[1:] == (
        "How many real videos score above the threshold was not measured.",
    )
    assert "how often was not measured" in words.limits[0]
    assert words.limits[1].startswith("It finds the kinds of fakes that it was trained on")
    assert words.card == ""
    judged = judge(Path("a.mp4"), VideoFaces(problem="empty"), [], RULE)
    assert "<details" not in page([verdict_section(judged, words, name="a.mp4")], words, "a.mp4")


def test_a_model_card_is_text_with_tables_and_neither_links_nor_scripts():
    card = "# Card\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[docs](../docs.md) <script>x</script>"
    html = str(card_details(card))
    assert 'id="model-card"' in html and "<table>" in html
    assert "docs" in html and "<a" not in html and "<script" not in html
    assert card_details("") == ""


def test_a_page_is_written_whole_and_recognised_as_ours(tmp_path):
    path = tmp_path / "verdicts.html"
    write_page(path, ["<p>one</p>"], WORDS, [Listed("FAKE", "\udcff.mp4", "v1")])
    (output,) = output_files(Destinations(html=path), [])
    assert not output.is_somebody_elses
    path.write_text("<!DOCTYPE html>\n<title>mine</title>")
    assert output.is_somebody_elses


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_letters_stand_out_from_their_ground(scheme):
    """WCAG 2.1, success criterion 1.4.3: a contrast of 4.5 or more."""
    colours = {
        name: pair.split(", ")[scheme]
        for name, pair in re.findall(r"--([a-z-]+): light-dark\(([^)]*)\)", pages.STYLE)
    }

    def luminance(colour: str) -> float:
        values = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return float(np.dot((0.2126, 0.7152, 0.0722), linear))

    pairs = [(ink, ground) for ink in ("ink", "soft", "accent") for ground in ("page", "card")]
    pairs += [("ink", "shade"), ("soft", "rule")]
    pairs += [(verdict, "card") for verdict in ("fake", "real", "uncertain")]
    pairs += [("on-badge", verdict) for verdict in ("fake", "real", "uncertain", "none")]
    for one, other in pairs:
        low, high = sorted((luminance(colours[one]), luminance(colours[other])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (one, other)
