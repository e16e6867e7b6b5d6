"""The tables of the accuracy benchmark, in Markdown: for the terminal and for accuracy.md.

They read what `metrics.of_detector` returns. A dash is for what cannot be computed.
"""

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.accuracy.folds import NOT_NAMED, Fold, Videos, count_videos
from deepfake_detector.face_dataset.face_tracks import FaceTrack

SECTIONS = {"folds": "tested", "sources": "source", "families": "family", "methods": "method"}


def markdown(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with its title."""
    lines = [f"**{title}**", "", "| " + " | ".join(columns) + " |"]
    lines.append("|" + " --- |" * len(columns))
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def of_folds(title: str, folds: Sequence[Fold], videos: Videos) -> str:
    """Return what each fold is tested and trained on."""
    rows = []
    for fold in folds:
        extras = [track for track in fold.rest if videos.about[track.video_key].extra]
        own = [track for track in fold.rest if not videos.about[track.video_key].extra]
        groups = {videos.about[track.video_key].group for track in fold.test}
        tested = f"{_counts(fold.test)} of {len(groups)} groups"
        trained = f"{_counts(own)}, {count_videos(extras)} extra real"
        rows.append((fold.name, tested, trained, str(fold.left_out)))
    columns = ("fold", "tested on", "trained on", "left out: people of the test")
    return markdown(title, columns, rows)


def _counts(tracks: Sequence[FaceTrack]) -> str:
    real, fake = (count_videos(t for t in tracks if t.label == label) for label in (0, 1))
    return f"{real} real, {fake} fake"


def of_sources(videos: Videos) -> str:
    """Return the number of videos and groups of each source."""
    own = [known for known in videos.about.values() if not known.extra]
    rows = []
    for source in sorted({known.source or "" for known in own}):
        of_source = [known for known in own if (known.source or "") == source]
        labels = [known.label for known in of_source]
        groups = {known.group for known in of_source}
        counts = (labels.count(0), labels.count(1), len(groups))
        rows.append((source or NOT_NAMED, *map(str, counts)))
    return markdown("sources of the videos", ("source", "real", "fake", "groups"), rows)


def of_detector(title: str, found: Mapping) -> str:
    """Return all metrics of one detector."""
    altered = list(found["mean"]["altered"])
    columns = ("", "real", "fake", "AUC (95 %)", "log loss", "FPR", "TPR", *altered)
    mean = found["mean"]
    rows = [("mean of the folds", "", "", with_seeds(mean), "", "", "", *_altered(mean))]
    rows.append(("all videos pooled", *_cells(found["pooled"])))
    rows.append(("pairs of one source", *_cells(found["within"])))
    rows += [(head, *_cells(row)) for head, row in _sections(found)]
    return markdown(title, columns, rows)


def _sections(found: Mapping) -> list[tuple[str, Mapping]]:
    """Return the rows of folds, sources and methods that say anything, each once."""
    rows = []
    for section, word in SECTIONS.items():
        for name, row in found[section].items():
            again = section == "sources" and name in found["folds"]
            if not again and (row["roc_auc"] is not None or row["log_loss"] is not None):
                rows.append((f"{word}: {name}", row))
    return rows


def _cells(row: Mapping) -> tuple[str, ...]:
    rates = (row["log_loss"], row["false_positive_rate"], row["true_positive_rate"])
    counts = (str(row["real"]), str(row["fake"]))
    return (*counts, with_interval(row), *map(shown, rates), *_altered(row))


def _altered(row: Mapping) -> list[str]:
    return [shown(auc) for auc in row["altered"].values()]


def comparison(title: str, found_by_name: Mapping[str, Mapping]) -> str:
    """Return the detectors next to each other."""
    every = list(found_by_name.values())
    rows = [["mean of the folds", *(with_seeds(found["mean"]) for found in every)]]
    rows.append(["all videos pooled", *(with_interval(found["pooled"]) for found in every)])
    rows.append(["pairs of one source", *(with_interval(found["within"]) for found in every)])
    for name in every[0]["mean"]["altered"]:
        altered = (found["mean"]["altered"].get(name) for found in every)
        rows.append([f"mean: {name}", *map(shown, altered)])
    for rate in ("log_loss", "false_positive_rate", "true_positive_rate"):
        values = (found["pooled"][rate] for found in every)
        rows.append([rate.replace("_", " "), *map(shown, values)])
    for head in dict.fromkeys(head for found in every for head, _ in _sections(found)):
        by_head = [dict(_sections(found)).get(head) for found in every]
        known = next(row for row in by_head if row)
        counts = f"{known['real']} real, {known['fake']} fake"
        cells = (with_interval(row) if row else "-" for row in by_head)
        rows.append([f"{head} ({counts})", *cells])
    return markdown(title, ("AUC", *found_by_name), rows)


def with_seeds(row: Mapping) -> str:
    """Return an AUC, and those of the seeds if there are several."""
    seeds = row["by_seed"]
    return shown(row["roc_auc"]) + (f" ({', '.join(map(shown, seeds))})" if len(seeds) > 1 else "")


def with_interval(row: Mapping) -> str:
    low_high = row["interval"]
    return shown(row["roc_auc"]) + (
        f" ({low_high[0]:.2f} to {low_high[1]:.2f})" if low_high else ""
    )


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
