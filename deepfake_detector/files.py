"""Files that are whole or not there, and text that is safe in a spreadsheet.

with written_whole(Path("model.keras")) as partial:
    model.save(partial)
write_text(Path("settings.json"), text)
text_cell("=1+1.mp4")                                  # "'=1+1.mp4"
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

# A cell that begins so is a formula to Excel and LibreOffice, and a formula can fetch an address or
# run a program (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, and rename it to `path` at the end.

    Readers never see half a file, and after an error nothing is left. The temporary name ends like
    that of `path`, because many writers choose a format by it. Works for folders that are not there
    yet, too.
    """
    partial = path.with_name(f".partial.{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        if partial.is_file():
            partial.unlink()
        elif partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole. File names in the text that are no Unicode keep their bytes."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")


def text_cell(text: str) -> str:
    """Return a text from a file for a CSV that somebody may open in a spreadsheet.

    A text that a spreadsheet would read as a formula gets an apostrophe in front, the spreadsheets'
    own sign for text; so does one that begins with apostrophes before such a sign. Use it for text
    only, not for numbers: -0.5 stays a number.
    """
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text
