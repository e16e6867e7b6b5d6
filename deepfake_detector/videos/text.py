"""Reads index files as people have them: any encoding, any usual separator, one table of columns.

    read_json(path)             # NaN is None
    read_table(path)            # ["path", "label"], [[("path", "a.mp4"), ("label", "fake")], ...]
    entry_of([("is_fake", "1.0"), ("subset", "Testing")])    # {"label": "FAKE", "split": "test"}

Everything that an index file says goes through here, so a rule about it stands once.
"""

import csv
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from deepfake_detector.console import UserError
from deepfake_detector.videos.vocabulary import CLASSES, FAKE, METHODS, REAL, SPLITS

BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
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

Pairs = list[tuple[str, object]]  # columns or keys, and what stands there


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, UTF-16 or, if it is neither, Windows-1252."""
    content = path.read_bytes()
    marked = [name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark)]
    if marked:
        text = content.decode(marked[0], "replace")
    elif b"\0" in content[:2]:
        text = content.decode("utf-16-be" if content[:1] == b"\0" else "utf-16-le", "replace")
    else:
        text = decoded(content)
    return text.replace("\ufeff", "")  # also where files were put one behind the other


def decoded(content: bytes) -> str:
    """Return bytes as text: UTF-8, and Windows-1252 if they are not that."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def read_json(path: Path) -> object:
    """Return the content of a JSON file, a list for JSON Lines; raises UserError if damaged."""
    text = read_text(path).strip()
    if path.suffix.lower() == ".jsonl":
        text = f"[{','.join(filter(str.strip, text.splitlines()))}]"
    try:
        return json.loads(text, parse_constant=lambda _: None, object_pairs_hook=_object_of)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except ValueError as error:  # a key that stands twice, a number of thousands of digits
        place = str(error)
    except RecursionError:
        place = "objects in objects without end"
    raise UserError(f"{path} is not valid JSON ({place}); correct it or download it again")


def _object_of(pairs: Pairs) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            raise ValueError(f"it says two things about {key!r}: {found[key]!r} and {value!r}")
    return found


def read_table(path: Path) -> tuple[list[str], list[Pairs]]:
    """Return the columns, which the first line names, and the rows; raises UserError if that
    cannot be read."""
    text = re.sub(r"\A\s*sep=.\s+", "", read_text(path))  # which Excel writes, and reads
    separator = max(SEPARATORS, key=text.lstrip().partition("\n")[0].count)
    try:
        file = io.StringIO(text, newline="")
        table = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
        lines = [[cell.strip() for cell in line] for line in table]
    except csv.Error as error:
        raise UserError(f"{path} is not a table: {error}; correct it or leave it out") from error
    columns, *rows = [line for line in lines if any(line)] or [[]]
    for row in rows if "path" in map(column_of, columns) else ():
        if any(row[len(columns) :]):
            raise UserError(
                f"{path} has more values than columns in the row {separator.join(row)}; put "
                f"quotation marks around a value that holds {separator!r}"
            )
    return columns, [list(zip(columns, row, strict=False)) for row in rows]


def path_of(row: Pairs) -> str:
    """Return which video a row is about: its column `path`, else the first of that meaning."""
    paths = {key.strip().lower(): value for key, value in row if column_of(key) == "path"}
    return str(paths.get("path") or next(filter(None, paths.values()), ""))


def entry_of(said: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Return what a row says, by the names of COLUMNS, without what means nothing.

    Two columns that mean the same and differ give both values in one text, which is no label and
    no split.
    """
    entry: dict[str, object] = {}
    for key, value in said:
        column = column_of(key)
        read = READING.get(column, value_of)(value)
        if column == "path" or read is None:
            continue
        if column not in entry:
            entry[column] = read
        elif column == "people":  # DFDC's preview has target_id and swapped_id
            entry[column] = [*entry[column], *read]  # type: ignore[misc]
        elif column in COLUMNS and entry[column] != read:
            entry[column] = f"{entry[column]} and {read}"
    return entry


def column_of(name: str) -> str:
    """Return the name that COLUMNS has for a column or a key, or the name itself."""
    plain = re.sub(r"[\s-]+", "_", name.strip().lower())
    return COLUMN_OF.get(plain, plain)


def value_of(value: object) -> object:
    """Return None for what means nothing, such as NaN, "" or "none", and anything else as it is."""
    is_nothing = value is None or (isinstance(value, str) and value.strip().lower() in NOTHING)
    return None if is_nothing else value


def label_of(value: object) -> object:
    """Return FAKE or REAL for a word, a number or a method that says so, None for nothing, and
    anything else as it is: that is not a label."""
    word = re.sub(r"\.0*\Z", "", str(value).strip().lower())
    if re.sub(r"[^a-z0-9]", "", word) in METHODS:
        return FAKE
    named = next((label for label, words in CLASSES.items() if word in words), value_of(value))
    return NUMBERS.get(word, named)


def split_of(value: object) -> object:
    """Return train, validation or test for a word that means it, None for nothing, and anything
    else as it is: that is not a split."""
    word = str(value).strip().lower()
    return next((split for split, words in SPLITS.items() if word in words), value_of(value))


def people_of(value: object) -> list[str] | None:
    """Return names, of numbers as text; a text separates them by commas, ; or |."""
    values = value if isinstance(value, list) else re.split(r"[,;|]", str(value))
    # pandas makes floats of a column of numbers in which one is missing.
    names = [re.sub(r"\A(\d+)\.0\Z", r"\1", str(name).strip()) for name in values]
    return [name for name in names if value_of(name)] or None


READING = {"label": label_of, "split": split_of, "people": people_of}


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
