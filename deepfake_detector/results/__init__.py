"""Results: what people see of the verdicts of predict.py.

In: a judged video of prediction/. Out: its line, its rows in CSV and JSON, a chart, an annotated
copy, its section of a page. Open `outputs.py` first, which writes them all; then
`video_verdict.py`, a verdict as plain values, and `page.py`, a verdict for people.
"""
