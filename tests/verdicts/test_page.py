"""A page about verdicts: what it says, that it is safe to open, that everybody can use it."""

import dataclasses
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from some_verdicts import BAND, verdict, window

from deepfake_detector.files import begins_with, write_text
from deepfake_detector.verdicts import page
from deepfake_detector.verdicts.options import PredictOptions, prepare_task
from deepfake_detector.verdicts.page import verdict_section
from deepfake_detector.verdicts.verdict import OCCLUSION

TASK = prepare_task(PredictOptions())
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
        self.text = " ".join(self.text.split())

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


def video(*scores: float, moments=(0.3, 0.8, 0.4), **facts):
    """A video of one window, with a face for each score and a picture of each moment."""
    found = verdict(window(0, *scores, moments=moments), rule=BAND, video_sec=5.0, **facts)
    keys = [f"0/{face}/{moment}" for face in range(len(scores)) for moment in range(len(moments))]
    return dataclasses.replace(found, jpegs=dict.fromkeys(keys, "AAAA"))


def section_of(found, **options) -> Parsed:
    return Parsed(verdict_section(found, TASK, **{"name": "a.mp4"} | options))


def page_of(*named) -> str:
    """The page about verdicts with their names."""
    verdicts = [dataclasses.replace(found, path=str(n)) for n, (_, found) in enumerate(named)]
    names = {str(number): name for number, (name, _) in enumerate(named)}
    return "".join(page.page_parts(verdicts, TASK, names))


def test_the_verdict_comes_first_then_why_then_its_limits():
    text = section_of(dataclasses.replace(video(0.9, 0.1), video_sec=120.0)).text
    parts = ("FAKE a.mp4", "The score is 0.900, 0.700 or more.")
    parts += ("Of 100 real videos, about ", "one more chance of a mistake", "What it rests on")
    parts += ("5.0 of 120.0 seconds", "90%", "2; face 1 has the highest score", "Why", "Face 1")
    parts += ("Limits", "The model makes mistakes")
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("scores", "facts", "badge", "sentence"),
    [
        ((0.1,), {}, "No sign of a fake", "The score is 0.100, below 0.500."),
        ((0.6,), {}, "UNCERTAIN", "The score is 0.600, between 0.500 and 0.700."),
        ((), {"no_face_note": "no face in it"}, "NO FACE", "No face in it. So there is no score."),
    ],
)
def test_every_verdict_has_its_word_and_a_sentence(scores, facts, badge, sentence):
    parsed = section_of(video(*scores, **facts))
    assert badge in parsed.text and sentence in parsed.text
    assert ("Of 100 fakes, about" in parsed.text) == (badge == "No sign of a fake")


def test_what_cannot_be_read_says_why():
    text = section_of(verdict(problem="text, not a video")).text
    assert "UNREADABLE" in text and "Text, not a video. So there is no score." in text
    assert "What it rests on" not in text


def test_warnings_and_damage_are_marked():
    found = video(0.9, moments=(0.9, 0.1, 0.2), problem="cut off")
    assert "Be careful Only 1 of 3 moments agrees Cut off" in section_of(found).text


def test_a_name_is_a_name_also_if_it_is_html():
    html = page_of((BAD_NAME, video(0.9)), ("\x1b[2J\u202e.mp4", video(0.1)))
    parsed = Parsed(html)
    assert BAD_NAME in parsed.text
    assert not any("onerror" in attributes for _, attributes in parsed.elements)
    assert not {"\x1b", "\u202e"} & set(html)


def test_the_page_loads_nothing_and_runs_nothing():
    parsed = Parsed(page_of(("a.mp4", video(0.9))))
    (policy,) = (meta["content"] for meta in parsed.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "script-src" not in policy
    assert not parsed.all("script") + parsed.all("link")
    for _, attributes in parsed.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"url\(|@import|http", page.STYLE)


def test_two_videos_share_no_id_and_every_link_leads_somewhere():
    parsed = Parsed(page_of(("a.mp4", video(0.9, 0.2)), ("b.mp4", video(0.9))))
    ids = Counter(attributes["id"] for _, attributes in parsed.elements if "id" in attributes)
    assert set(ids.values()) == {1}
    named = [label["for"] for label in parsed.all("label")]
    named += [link["href"].removeprefix("#") for link in parsed.all("a")]
    named += [a["aria-labelledby"] for _, a in parsed.elements if "aria-labelledby" in a]
    assert set(named) <= set(ids)


def test_each_moment_is_chosen_by_a_labelled_radio_button():
    parsed = section_of(video(0.2, 0.9), prefix="v7")
    radios = parsed.all("input")
    # The deciding face comes first, and its highest-scoring moment is chosen.
    ids = [f"v7-moment-0-{face}-{moment}" for face in (1, 0) for moment in range(3)]
    assert [radio["id"] for radio in radios] == ids
    assert [radio["id"] for radio in radios if "checked" in radio] == ["v7-moment-0-1-1"]
    assert [label["for"] for label in parsed.all("label")] == ids
    assert {image["alt"] for image in parsed.all("img")} >= {"", "Face 2 at 1.0 s"}
    charts = [chart for chart in parsed.all("svg") if "role" in chart]
    assert charts[0]["aria-label"] == (
        "Face 2: Scores of 3 moments, from 0.30 to 0.80; the highest at 1.0 seconds; 1 of them "
        "FAKE."
    )


def test_of_a_long_video_with_many_faces_the_highest_are_shown():
    moments = [0.1] * 300
    moments[7] = 0.9
    parsed = section_of(video(0.3, moments=tuple(moments)))
    shown = [radio["id"] for radio in parsed.all("input")]
    assert len(shown) == 25 and "v1-moment-0-0-7" in shown
    assert sum("dot" in path.get("class", "") for path in parsed.all("path")) == 300
    parsed = section_of(video(*[0.1] * 9, 0.9))
    assert sum("role" in chart for chart in parsed.all("svg")) == 6
    assert "4 more with lower scores are not shown." in parsed.text


def test_a_moment_whose_crop_is_gone_is_still_a_moment():
    parsed = section_of(dataclasses.replace(video(0.9), jpegs={}))
    assert len(parsed.all("input")) == 3
    assert not parsed.all("img") and "no picture" in parsed.text


def test_the_windows_of_a_whole_video_are_in_one_chart():
    windows = [window(0, 0.2, moments=(0.2,) * 3), window(1, 0.9, moments=(0.9, 0.8, 0.9))]
    parsed = section_of(verdict(*windows, rule=BAND))
    labels = [chart["aria-label"] for chart in parsed.all("svg") if "role" in chart]
    assert labels[0].startswith("All windows: Scores of 6 moments")
    assert labels[1].startswith("Face 1 from 5.0 s on: ")
    assert "5.0 to 10.0 s; 1 of 2 are FAKE" in parsed.text


def test_a_photograph_has_one_picture_and_no_timeline():
    found = verdict(window(0, 0.9, frames=1, seconds=0.0, moments=(0.9,)), read_sec=0.0, rule=BAND)
    parsed = section_of(dataclasses.replace(found, frames=1, jpegs={"0/0/0": "AAAA"}))
    assert not parsed.all("svg") + parsed.all("input")
    assert len(parsed.all("img")) == 1 and "moment" not in parsed.text
    assert "one picture" in parsed.text and "Frames" not in parsed.text


def test_the_occlusion_map_is_shown_with_what_its_colours_mean():
    found = video(0.9)
    assert "covering a red part" not in section_of(found).text
    found = dataclasses.replace(found, jpegs={**found.jpegs, OCCLUSION: "BBBB"})
    parsed = section_of(found)
    assert "covering a red part of the face lowers the score" in parsed.text
    assert sum(image["src"].endswith(",BBBB") for image in parsed.all("img")) == 1


def test_a_model_card_is_text_with_tables_and_neither_links_nor_scripts(tmp_path):
    task = dataclasses.replace(TASK, model_path=tmp_path / "model.keras", model_settings={})
    assert page.card_of(task) == "" and "<a " not in verdict_section(video(0.9), task, "a.mp4")
    card = "# Card\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[docs](../docs.md) <script>x</script>"
    (tmp_path / "MODEL_CARD.md").write_text(card)
    html = str(page.card_of(task))
    assert 'id="model-card"' in html and "<table>" in html
    assert "docs" in html and "<a" not in html and "<script" not in html


def test_a_page_is_known_by_its_beginning(tmp_path):
    path = tmp_path / "verdicts.html"
    write_text(path, "".join(page.page_parts([video(0.9)], TASK, {"a.mp4": "\udcff.mp4"})))
    assert begins_with(path, page.FIRST_LINES)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_letters_stand_out_from_their_ground(scheme):
    """WCAG 2.1, success criterion 1.4.3: a contrast of 4.5 or more."""
    colours = {
        name: pair.split(", ")[scheme]
        for name, pair in re.findall(r"--([a-z-]+): light-dark\(([^)]*)\)", page.STYLE)
    }

    def luminance(colour: str) -> float:
        values = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return float(np.dot((0.2126, 0.7152, 0.0722), linear))

    pairs = [(ink, ground) for ink in ("ink", "soft", "accent") for ground in ("page", "card")]
    pairs += [("ink", "shade"), ("soft", "rule")]
    pairs += [(word, "card") for word in ("fake", "real", "uncertain")]
    pairs += [("on-badge", word) for word in ("fake", "real", "uncertain", "none")]
    for one, other in pairs:
        low, high = sorted((luminance(colours[one]), luminance(colours[other])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (one, other)
