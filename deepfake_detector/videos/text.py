"""Reads index files as people have them: any encoding, any usual separator, one table of columns.

    read_json(path)             # NaN is None; what stands twice is Twice
    read_table(path)            # [{"path": "a.mp4", "label": "fake"}, ...]
    label_of("1.0")             # "FAKE"
    split_of("Testing")         # "test"

Everything that an index file says goes through here, so a rule about it stands once.
"""

import csv
import io
import json
import os
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from deepfake_detector.console import UserError
from deepfake_detector.videos.vocabulary import CLASSES, FAKE, REAL, SPLITS

BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
SEPARATORS = ",;\t|"
NOTHING = frozenset({"", "nan", "null", "none", "n/a", "na", "-"})
NUMBERS = {"0": REAL, "1": FAKE, "false": REAL, "true": FAKE}
# The names of columns and keys, in lower case with underscores; the first one is ours.
COLUMNS = {
    "path": "path filename file_name file filepath file_path video video_path video_name name clip",
    "label": "label class target is_fake fake modify_video",
    "split": "split set subset partition",
    "original": "original original_video original_path original_file",
    "people": "people person subject actor identity target_id swapped_id",
    "method": "method manipulation manipulation_method generator",
}
COLUMN_OF = {name: column for column, names in COLUMNS.items() for name in names.split()}


class Twice(NamedTuple):
    """The two values of a key that stands twice in a JSON object."""

    first: object
    second: object


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, UTF-16 or, if it is neither, Windows-1252."""
    content = path.read_bytes()
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if content[1:2] == b"\0" or content[:1] == b"\0":
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", "replace")
    return decoded(content)


def decoded(content: bytes) -> str:
    """Return bytes as text: UTF-8, and Windows-1252 if they are not that."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def read_json(path: Path) -> object:
    """Return the content of a JSON file; raises UserError if it is not JSON."""
    try:
        return json.loads(
            read_text(path), parse_constant=lambda _: None, object_pairs_hook=_object_of
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise UserError(
            f"{path} is not valid JSON ({place}); correct it or download it again"
        ) from error


def _object_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        found[key] = Twice(found[key], value) if found.get(key, value) != value else value
    return found


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table by the names of COLUMNS, other columns by their own; raises
    UserError if it cannot be read."""
    text = read_text(path)
    header = text.lstrip().partition("\n")[0]
    separator = max(SEPARATORS, key=header.count)
    try:
        lines = [
            [cell.strip() for cell in line]
            for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        ]
    except csv.Error as error:
        raise UserError(f"{path} is not a table: {error}; correct it or leave it out") from error
    lines = [line for line in lines if any(line)]
    columns: list[str] = []
    for name in lines[0] if lines else ():
        column = column_of(name)
        columns.append(name if column in columns else column)  # the first of two paths counts
    empty = dict.fromkeys(columns, "")
    return [empty | dict(zip(columns, line, strict=False)) for line in lines[1:]]


def column_of(name: str) -> str:
    """Return the name that COLUMNS has for a column or a key, or the name itself."""
    plain = re.sub(r"[\s-]+", "_", name.strip().lower())
    return COLUMN_OF.get(plain, plain)


def value_of(value: object) -> object:
    """Return None for what means nothing, such as NaN, "" or "none", and anything else as it is."""
    is_nothing = value is None or (isinstance(value, str) and value.strip().lower() in NOTHING)
    return None if is_nothing else value


def label_of(value: object) -> object:
    """Return FAKE or REAL for a word or number that says so, None for nothing, and anything else as
    it is: that is not a label."""
    if isinstance(value, bool | int | float) and value in (0, 1):
        return FAKE if value else REAL
    if not isinstance(value, str):
        return value_of(value)
    word = value.strip().lower().removesuffix(".0")
    named = (label for label, words in CLASSES.items() if word in words)
    return NUMBERS.get(word) or next(named, value_of(value))


def split_of(value: object) -> object:
    """Return train, validation or test for a word that means it, None for nothing, and anything
    else as it is: that is not a split."""
    word = str(value).strip().lower()
    return next((split for split, words in SPLITS.items() if word in words), value_of(value))


def people_of(value: object) -> object:
    """Return a list of names; a text separates them by ; or |. Anything else as it is."""
    if isinstance(value, str):
        value = re.split(r"[;|]", value)
    if not isinstance(value, list | tuple):
        return value_of(value)
    return [name.strip() if isinstance(name, str) else name for name in value if value_of(name)]


def parts_of(path: str) -> tuple[str, ...]:
    """Return the parts of a path however it is written: with / or \\, with ./, in NFC or NFD."""
    parts = readable(path).replace("\\", "/").split("/")
    return tuple(part for part in parts if part not in ("", "."))


def readable(name: str) -> str:
    """Return a file name in NFC; bytes that are not UTF-8 are read as Windows-1252."""
    try:
        name = decoded(os.fsencode(name))
    except UnicodeEncodeError:  # half a character, which JSON can hold and no file name
        return name
    return unicodedata.normalize("NFC", name)
