"""Index files as Excel, pandas, PowerShell and people write them: one rule for each thing said."""

import json
import unicodedata
from pathlib import Path

import pytest
from conftest import list_videos, make_files, write_metadata

from deepfake_detector.console import UserError
from deepfake_detector.videos import matching
from deepfake_detector.videos.listing import Listing, read_locations

R, F = "REAL", "FAKE"


def listing_of(root: Path, index: str | bytes, name="videos.csv") -> Listing:
    """Return what is known of the videos of a folder with this index file."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(index if isinstance(index, bytes) else index.encode())
    return read_locations([root])


def labels_of(listing: Listing) -> dict[str, str | None]:
    """Return the label of each video by its name; None of one that cannot be used."""
    return {video.name: video.entry.get("label") for video in listing.videos}


def problem_of(listing: Listing, name: str) -> str:
    return next(video.problem for video in listing.videos if video.name == name)


@pytest.fixture
def two(tmp_path) -> Path:
    return make_files(tmp_path / "two", "a.mp4", "b.mp4")


# How it is written


TABLE = "path,label\na.mp4,real\nb.mp4,fake\n"
JSON = '{"a.mp4": "REAL", "b.mp4": "FAKE"}'


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (TABLE.replace(",", ";"), "videos.csv"),
        (TABLE.replace(",", "\t"), "videos.tsv"),
        (TABLE.replace(",", "|"), "labels.csv"),
        ("sep=;\r\n" + TABLE.replace(",", ";"), "videos.csv"),  # Excel's own first line
        (TABLE.encode("utf-8-sig"), "videos.csv"),
        (TABLE.replace(",", "\t").encode("utf-16"), "videos.csv"),  # Excel's Unicode text
        (TABLE.encode("utf-16-le"), "videos.csv"),
        (TABLE.replace("\nb", "\n\ufeffb"), "videos.csv"),  # two files put one behind the other
        (TABLE.replace("path", "File Name").replace("label", "is-fake"), "metadata.csv"),
        ('path; label; note\n"a.mp4"; "real"; "x;y"\n\n;;\n"b.mp4"; fake\n', "videos.csv"),
        (JSON.encode("utf-8-sig"), "metadata.json"),
        (JSON.encode("utf-16"), "metadata.json"),
        ('[{"file": "a.mp4", "modify_video": false}, {"file": "b.mp4", "target": 1}]',
         "metadata.json"),
        ('{"file_name": "a.mp4", "label": 0}\n\n{"file_name": "b.mp4", "label": 1}\n',
         "metadata.jsonl"),
        ('{"a": {"label": "REAL", "original": NaN}, "b": {"label": "FAKE"}}', "labels.json"),
        ('{"a": "original", "b": "Face2Face"}', "labels.json"),
    ],
)  # fmt: skip
def test_any_encoding_and_separator_and_every_usual_name_of_a_column(two, index, name):
    listing = listing_of(two, index, name)
    labels = {name: label for name, label in labels_of(listing).items() if label}
    assert labels == {"a.mp4": R, "b.mp4": F}


def test_names_in_windows_1252_are_found(tmp_path):
    make_files(tmp_path, "jürgen.mp4")
    listing = listing_of(tmp_path, "path,label\njürgen.mp4,real\n".encode("cp1252"))
    assert labels_of(listing) == {"jürgen.mp4": R}


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("0 0.0 0. real REAL genuine original false False", R),
        ("1 1.0 1.000 fake Fake deepfake manipulated true TRUE", F),
        ("2 -1 maybe unknown UNSURE", None),
    ],
)
def test_one_table_of_labels_and_what_is_not_in_it_is_never_real(two, words, label):
    for word in words.split():
        listing = listing_of(two, f"path,label\na.mp4,{word}\nb.mp4, fake \n")
        assert labels_of(listing) == {"a.mp4": label, "b.mp4": F}, word
        assert (word in problem_of(listing, "a.mp4")) == (label is None)


@pytest.mark.parametrize(
    "entry",
    [{}, None, "", {"label": None}, {"label": "NaN"}, {"split": "train"}, 5, ["FAKE"],
     {"label": ["FAKE"]}, {"label": {}}, {"label": "FAKE", "split": ["train"]},
     {"label": "FAKE", "split": "holdout"}, {"label": "FAKE", "original": 7},
     {"original": "b.mp4"}],
)  # fmt: skip
def test_an_entry_without_a_usable_label_or_split_cannot_be_used(two, entry):
    make_files(two, "real/c.mp4")  # where folders speak, odd entries are looked at once more
    index = json.dumps({"a.mp4": entry, "b.mp4": "FAKE", "real/c.mp4": {"label": ["FAKE"]}})
    listing = listing_of(two, index, "metadata.json")
    assert labels_of(listing) == {"a.mp4": None, "b.mp4": F, "real__c.mp4": None}
    assert problem_of(listing, "a.mp4")


def test_a_column_that_is_empty_leaves_it_to_the_folder(tmp_path):
    make_files(tmp_path, "real/a.mp4", "fake/b.mp4")
    listing = listing_of(tmp_path, "path,label,people\nreal/a.mp4,,Ann\nfake/b.mp4,NaN,none\n")
    assert labels_of(listing) == {"fake__b.mp4": F, "real__a.mp4": R}
    assert [video.entry.get("people") for video in listing.videos] == [None, ["Ann"]]


def test_one_table_of_splits(two):
    for words, split in {
        "train Training TRN": "train",
        "val valid Validation dev": "validation",
        "test TESTING tst eval": "test",
    }.items():
        for word in words.split():
            index = f"path,label,subset\na.mp4,real,{word}\nb.mp4,fake,\n"
            listing = listing_of(two, index)
            assert [video.entry["split"] for video in listing.videos] == [split, "train"], word


def test_people_in_one_cell_are_several(two):
    listing = listing_of(two, 'path,label,people\na.mp4,0,"Ann, Bob"\nb.mp4,1,Cy;Di\n')
    people = [video.entry["people"] for video in listing.videos]
    assert people == [["Ann", "Bob"], ["Cy", "Di"]]


def test_people_of_numbers_are_the_same_in_every_column(two):
    """pandas makes floats of a column of numbers in which one is missing."""
    index = "path,label,target_id,swapped_id\na.mp4,real,12,\nb.mp4,fake,13,12.0\n"
    assert [v.entry["people"] for v in listing_of(two, index).videos] == [["12"], ["13", "12"]]
    index = '{"a.mp4": {"label": 0, "people": 12}, "b.mp4": {"label": 1, "people": "13; 12"}}'
    (two / "videos.csv").unlink()
    listing = listing_of(two, index, "metadata.json")
    assert [video.entry["people"] for video in listing.videos] == [["12"], ["13", "12"]]


@pytest.mark.parametrize(
    ("index", "name", "sentence"),
    [
        ("{not json", "metadata.json", r"metadata.json is not valid JSON \(line 1, column 2"),
        ("[" * 100_000, "metadata.json", "is not valid JSON"),
        ("5", "metadata.json", "must hold a JSON object that maps video names to entries"),
        ("a.mp4,real\nb.mp4,fake\n", "videos.csv", "has no column path; the first line must name"),
        ("", "videos.csv", "has no column path"),
        ("path,label\n" + "x" * 200_000, "videos.csv", "is not a table: field larger"),
        ('path,people,label\na.mp4,"Ann,real\nb.mp4,Bob,fake\n', "videos.csv", "is not a table"),
        ("path,label,people\na.mp4,real,Ann,Bob\n", "videos.csv", "more values than columns"),
        ('{"a.mp4": "REAL", "a.mp4": "FAKE"}', "metadata.json", "about 'a.mp4': 'REAL' and 'FAKE'"),
        ('{"a": {"label": 0, "label": 1}}', "metadata.json", "two things about 'label': 0 and 1"),
        ('{"a.mp4": {"label": ' + "9" * 5000 + "}}", "metadata.json", "is not valid JSON"),
    ],
)
def test_an_index_that_cannot_be_read_is_one_sentence(two, index, name, sentence):
    with pytest.raises(UserError, match=sentence):
        listing_of(two, index, name)


def test_a_list_that_is_not_understood_is_named(tmp_path):
    """Labels corrected in it were those of the folders, without a word."""
    make_files(tmp_path, "real/a.mp4", "fake/b.mp4")
    (note,) = listing_of(tmp_path, "id,label\na,fake\n", "labels.csv").notes
    assert note.endswith("labels.csv is not used: it has no column or key path")


def test_a_metadata_json_about_something_else_is_not_an_index(tmp_path):
    make_files(tmp_path, "real/a.mp4", "fake/b.mp4")
    listing = listing_of(tmp_path, '{"fps": 25, "camera": "mine"}', "real/metadata.json")
    assert len(listing.videos) == 2


# Which video is meant


@pytest.mark.parametrize(
    "path",
    ["a.mp4", "./Sub/A.mp4", "sub\\a.mp4", "SUB/a.MP4", "sub/a", "a", "videos/sub/a.mp4",
     "{root}/sub/a.mp4", "{link}/sub/a.mp4", "two/sub/a.mp4"],
)  # fmt: skip
def test_a_path_is_found_however_it_is_written(tmp_path, path):
    root, link = make_files(tmp_path / "two", "sub/a.mp4", "other/b.mp4"), tmp_path / "link"
    link.symlink_to(root)
    path = path.format(root=root, link=link)
    for location in (root, link):
        listing = listing_of(location, f"path,label\n{path},real\nother/b.mp4,fake\n")
        assert labels_of(listing) == {"other__b.mp4": F, "sub__a.mp4": R}


def test_an_index_in_a_folder_of_lists_may_lead_up_from_it(tmp_path):
    make_files(tmp_path, "clips/a.mp4", "clips/b.mp4")
    index = "path,label\n../clips/a.mp4,real\n../clips/b.mp4,fake\n"
    listing = listing_of(tmp_path, index, "lists/videos.csv")
    assert labels_of(listing) == {"clips__a.mp4": R, "clips__b.mp4": F}


@pytest.mark.parametrize(("on_disk", "listed"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_are_the_same_in_both_forms_of_unicode(tmp_path, on_disk, listed):
    """Files unpacked or copied on a Mac."""
    names = ["jürgen.mp4", "jürgen_fake.mp4"]
    make_files(tmp_path, *(unicodedata.normalize(on_disk, name) for name in names))
    entries = {names[0]: {"label": R}, names[1]: {"label": F, "original": names[0]}}
    text = unicodedata.normalize(listed, json.dumps(entries, ensure_ascii=False))
    real, fake = listing_of(tmp_path, text, "metadata.json").videos
    assert real.path.exists() and fake.path.exists()
    assert fake.entry["original"] == real.name == unicodedata.normalize("NFC", names[0])


def test_a_path_may_lead_out_of_the_location_and_into_it_again(tmp_path):
    make_files(tmp_path / "data", "real/a.mp4", "fake/b.mp4")
    index = "path,split\n../data/real/a.mp4,test\nfake/../fake/b.mp4,test\n"
    listing = listing_of(tmp_path / "data", index)
    assert [video.entry["split"] for video in listing.videos] == ["test", "test"]


def test_originals_are_found_as_videos_are_and_others_are_counted(tmp_path):
    make_files(tmp_path, *(f"{name}.mp4" for name in "abcdef"))
    index = (
        "path,label,original\na.mp4,0,\nb.mp4,1,a.mp4\nc.mp4,1,.\\A.mp4\nd.mp4,1,a\n"
        "e.mp4,1,gone.mp4\nf.mp4,1,b.mp4\n"
    )
    listing = listing_of(tmp_path, index)
    originals = [video.entry["original"] for video in listing.videos]
    assert originals == [None, "a.mp4", "a.mp4", "a.mp4", "gone.mp4", "b.mp4"]
    assert listing.notes == [
        "note: 1 original named in index files, and not found, or several are, such as gone.mp4",
        "note: 1 original named in index files, and a fake, such as b.mp4",
    ]


def test_a_real_video_made_from_a_fake_is_not_used(two):
    """A file that writes 1 for real turned every label round."""
    listing = listing_of(two, "path,label,original\na.mp4,1,\nb.mp4,0,a.mp4\n")
    assert labels_of(listing) == {"a.mp4": F, "b.mp4": None}
    assert problem_of(listing, "b.mp4") == "it is labelled REAL, and its original, a.mp4, FAKE"


def test_a_path_of_words_that_say_nothing_still_means_one_video(tmp_path):
    make_files(tmp_path, "real/men/a.mp4", "real/women/a.mp4", "fake/b.mp4")
    listing = listing_of(tmp_path, "path,split\nwomen/a.mp4,test\nmen/a.mp4,train\n")
    splits = {video.name: video.entry["split"] for video in listing.videos}
    assert splits == {
        "fake__b.mp4": "train", "real__men__a.mp4": "train", "real__women__a.mp4": "test",
    }  # fmt: skip


def test_a_row_of_women_is_not_about_a_man_of_the_same_number(tmp_path):
    """The men's 001.mp4 became a fake, because the women's was not downloaded."""
    make_files(tmp_path / "one", "men/001.mp4", "men/002.mp4")
    listing = listing_of(tmp_path / "one", "path,label\nwomen/001.mp4,fake\nmen/002.mp4,real\n")
    assert labels_of(listing) == {"men__002.mp4": R, "women__001.mp4": F}
    make_files(tmp_path / "both", "men/001.mp4", "women/001.mp4")
    listing = listing_of(tmp_path / "both", "path,label\nMen\\001.mp4,0\nWomen\\001.mp4,1\n")
    assert labels_of(listing) == {"men__001.mp4": R, "women__001.mp4": F}


@pytest.mark.parametrize("name", ["videos.csv", "fake/videos.csv"])
def test_the_original_of_a_fake_may_have_its_name_and_is_never_itself(tmp_path, name):
    make_files(tmp_path, "real/a.mp4", "fake/a.mp4", "more/fake/a.mp4")
    listing = listing_of(tmp_path, "path,original\nfake/a.mp4,a.mp4\n", name)
    entries = {video.name: video.entry for video in listing.videos}
    assert entries["fake__a.mp4"]["original"] == "real__a.mp4"


def test_an_index_of_frames_is_about_the_folders_that_they_are_in(tmp_path):
    """A frame was a second video, which the index put on the other side of the split."""
    paths = [f"{person}/{number:03d}.png" for person in "abc" for number in range(2)]
    make_files(tmp_path, *paths)
    labels = [R, R, F, F, R, F]  # of one person both
    rows = [f"{path},{label},test" for path, label in zip(paths, labels, strict=True)]
    for root in ("", f"{tmp_path}/"):
        index = "path,label,split\n" + "".join(f"{root}{row}\n" for row in rows)
        listing = listing_of(tmp_path, index)
        assert labels_of(listing) == {"a": R, "b": F, "c": None}
        assert [video.entry.get("split") for video in listing.videos] == ["test", "test", None]


def test_an_index_may_be_about_the_videos_of_another_location(tmp_path):
    videos = make_files(tmp_path / "videos", "a.mp4", "b.mp4")
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "videos.csv").write_text(f"path,label\n{videos}/a.mp4,real\n{videos}/b.mp4,fake\n")
    for locations in ([videos, labels], [labels, videos], [videos, labels, videos]):
        assert labels_of(read_locations(locations)) == {"a.mp4": R, "b.mp4": F}


def test_names_that_several_videos_have_or_none_are_named_and_a_missing_video_is_a_row(tmp_path):
    make_files(tmp_path, "real/a.mp4", "fake/a.mp4")
    index = "path,label\na.mp4,fake\n/elsewhere/b.mp4,real\nc.mp4,real\n../../d.mp4,real\n,real\n"
    listing = listing_of(tmp_path, index)
    assert labels_of(listing) == {"c.mp4": R, "fake__a.mp4": F, "real__a.mp4": R}
    (note,) = listing.notes
    assert note.startswith("note: 4 names in ") and note.endswith("or several have, such as a.mp4")


def test_rows_of_names_that_recur_are_not_compared_with_all_videos(tmp_path, monkeypatch):
    """4,000 rows took 70 seconds, 100,000 would have taken half a day."""
    paths = [f"id{person}/{number}.mp4" for person in range(20) for number in range(5)]
    make_files(tmp_path, *paths)
    compared = []
    monkeypatch.setattr(matching, "_end_alike", lambda *both: compared.append(both))
    listing = listing_of(tmp_path, "path,label\n" + "".join(f"{path},real\n" for path in paths))
    assert set(labels_of(listing).values()) == {R}
    assert not compared


# What cannot be true


@pytest.mark.parametrize(
    ("index", "name"),
    [
        ("path,label\na.mp4,real\nb.mp4,fake\na.mp4,fake\n", "videos.csv"),
        ("path,label,is_fake\na.mp4,real,1\nb.mp4,fake,1\n", "videos.csv"),
        ("path,label,label\na.mp4,real,fake\nb.mp4,fake,fake\n", "videos.csv"),
    ],
)
def test_two_rows_or_columns_that_differ_are_never_one_label(two, index, name):
    listing = listing_of(two, index, name)
    assert labels_of(listing) == {"a.mp4": None, "b.mp4": F}
    assert R in problem_of(listing, "a.mp4") and F in problem_of(listing, "a.mp4")


def test_rows_that_say_the_same_or_more_are_one(two):
    """One row a person, and columns about something else."""
    index = "path,label,people,frame\na.mp4,real,Ann,1\na.mp4,0,Bob,2\nb.mp4,fake,Ann,1\n"
    real, fake = listing_of(two, index).videos
    assert (real.label, real.entry["people"], fake.label) == (0, ["Ann", "Bob"], 1)


def test_an_index_against_the_class_folder_is_named(tmp_path):
    make_files(tmp_path, "real/a.mp4", "real/b.mp4", "fake/c.mp4")
    index = "path,label\nreal/a.mp4,fake\nreal/b.mp4,real\nfake/c.mp4,fake\n"
    listing = listing_of(tmp_path, index)
    assert labels_of(listing) == {"fake__c.mp4": F, "real__a.mp4": None, "real__b.mp4": R}
    assert problem_of(listing, "real__a.mp4").startswith(
        "videos.csv says FAKE, and its folder REAL"
    )


def test_an_index_that_writes_1_for_real_is_refused_wherever_it_lies(tmp_path):
    videos = make_files(tmp_path / "videos", "real/a.mp4", "fake/b.mp4", "fake/c.mp4")
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "labels.csv").write_text("filename,label\na.mp4,1\nb.mp4,0\nc.mp4,0\n")
    (lists / "videos.csv").write_text("path,people\na.mp4,Ann\n")
    for locations in ([videos, lists], [lists, videos]):
        with pytest.raises(UserError, match="labels.csv says the opposite of the folders for all"):
            read_locations(locations)


def test_an_index_against_the_folder_of_a_split_counts_and_is_named(tmp_path):
    make_files(tmp_path, "train/real/a.mp4", "test/fake/b.mp4")
    index = "path,split\ntrain/real/a.mp4,train\ntest/fake/b.mp4,train\n"
    listing = listing_of(tmp_path, index)
    assert [video.entry["split"] for video in listing.videos] == ["train", "train"]
    (note,) = listing.notes
    assert "1 video" in note and "different splits" in note and "test/fake/b.mp4" in note


def test_two_index_files_that_differ_are_never_one_label(two):
    write_metadata(two, {"a.mp4": F, "b.mp4": F})
    listing = listing_of(two, TABLE)
    assert labels_of(listing) == {"a.mp4": None, "b.mp4": F}
    problem = "its label is REAL in videos.csv and FAKE in metadata.json; correct one"
    assert problem_of(listing, "a.mp4") == problem


# videos.csv, our own


def test_a_videos_csv_says_all_there_is_to_say_and_changes_no_names(tmp_path):
    part = make_files(tmp_path, "part_0/a.mp4", "test/fake/mine/b.mp4").joinpath("part_0")
    write_metadata(part, {"a.mp4": R})
    before = [video.name for video in list_videos([tmp_path])]
    (tmp_path / "videos.csv").write_text(
        "path,original,people,note\npart_0/a.mp4,,Ann,\n"
        "test/fake/mine/b.mp4,part_0/a.mp4,Ann; Bob,odd\n"
    )
    real, fake = list_videos([tmp_path])
    assert before == [real.name, fake.name] == ["a.mp4", "test__fake__mine__b.mp4"]
    assert real.entry["people"] == ["Ann"]
    assert dict(fake.entry) == {
        "label": F, "split": "test", "original": "a.mp4", "people": ["Ann", "Bob"],
        "method": "mine", "note": "odd",
    }  # fmt: skip


def test_the_preview_of_dfdc_says_label_split_and_people(tmp_path):
    make_files(tmp_path, "original_videos/videos/64/a.mp4", "method_A/videos/64/64_A/b.mp4")
    entries = {
        "original_videos/64/a.mp4": {"label": "real", "set": "train", "target_id": "64"},
        "method_A/64/64_A/b.mp4": {
            "label": "fake", "set": "test", "target_id": "64", "swapped_id": "12",
        },
    }  # fmt: skip
    fake, real = listing_of(tmp_path, json.dumps(entries), "dataset.json").videos
    assert (fake.label, fake.entry["split"], fake.entry["method"]) == (1, "test", "method_A")
    assert (fake.entry["people"], real.entry["people"]) == (["64", "12"], ["64"])
