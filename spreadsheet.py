"""Text from files in cells of a CSV that somebody may open in a spreadsheet.

A cell that begins with =, +, - or @ is a formula to Excel and LibreOffice, and a formula can fetch
an address or run a program (OWASP, "CSV Injection"). A name of a video comes from whoever made the
data set. So a text that begins so, or with a tab or the end of a line, which are skipped on the way
to it, gets an apostrophe in front: the sign for text of spreadsheets.

    >>> text_cell("=1+1.mp4")
    "'=1+1.mp4"
    >>> read_cell("'=1+1.mp4")
    '=1+1.mp4'

Numbers are written as they are: -0.5 stays a number.
"""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def text_cell(text: str) -> str:
    """Return a text as it goes into a CSV; `read_cell` gives it back.

    One that itself begins with apostrophes before such a sign gets one more.
    """
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text


def read_cell(cell: str) -> str:
    """Return the text that `text_cell` was given."""
    guarded = cell.startswith("'") and cell.lstrip("'").startswith(FORMULA_STARTS)
    return cell[1:] if guarded else cell
