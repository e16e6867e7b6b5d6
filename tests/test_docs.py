"""The documentation: its links lead somewhere, its examples work, and it names what is there."""

import re
from pathlib import Path

import pytest
from conftest import ROOT

from deepfake_detector.videos.listing import read_locations

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("pretrained/*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
NAMED = re.compile(r"(?<![\w/.])((?:benchmarks|deepfake_detector|docs|tests)/[\w/.]+\.\w+)")


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_names_of_files_lead_somewhere(page):
    text = page.read_text("utf-8")
    for path, anchor in LINK.findall(text):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors_of(target), f"{path}#{anchor}"
    for path in NAMED.findall(text):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"-m (benchmarks\.\w+)", text):
        assert list(ROOT.glob(f"{module.replace('.', '/')}*")), module


def test_the_example_of_a_videos_csv_works_as_it_is_printed(tmp_path):
    (example,) = re.findall(r"```\n(path,.*?)```", (ROOT / "docs/data.md").read_text(), re.DOTALL)
    (tmp_path / "videos.csv").write_text(example)
    paths = [line.partition(",")[0] for line in example.splitlines()[1:]]
    for path in paths:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    listing = read_locations([tmp_path])
    assert [video.problem for video in listing.videos] == [""] * len(paths) and not listing.notes
    crowd, real, fake = listing.videos
    assert (crowd.label, real.label, fake.label) == (0, 0, 1)
    assert crowd.entry["people"] == ["Cy", "Di"] and fake.entry["people"] == ["Ann", "Bob"]
    assert fake.entry["original"] == real.name and fake.entry["method"] == "FaceSwap"
    assert [video.entry["split"] for video in listing.videos] == ["train"] * 3
