"""What app.py puts around a verdict: pieces of HTML, CSS and JavaScript. Every text is escaped."""

from urllib.parse import quote

from markupsafe import Markup

from deepfake_detector.results import page
from deepfake_detector.web_app.desk import Status
from deepfake_detector.web_app.sessions import Result, Session

TITLE = "Is this video a deepfake?"
HEADING = (
    f"<header><h1>{TITLE}</h1><p>Drop a video or a picture of a person. It is looked at on this "
    "computer, and deleted afterwards.</p></header>"
)
NOTHING_YET = (
    '<div class="verdict-page video nothing-yet"><h2>The verdict comes here</h2><p>FAKE, REAL or '
    "UNCERTAIN, with the score, with what it rests on, and with what this detector cannot see.</p>"
    "</div>"
)
READY = Status("Ready.", busy=False)
# Read out to who does not see it: not every second that passes, but what came of it.
IS_STATUS = """
element.setAttribute('role', 'status');
element.setAttribute('aria-live', 'polite');
watch('value', () => {
  element.setAttribute('aria-busy', String(element.querySelector('progress') !== null));
});
"""
# A moment is chosen by a radio button in the section; the arrow keys are clicks, too. The server
# then sends the section again, and the focus must be where it was.
CHOOSE_MOMENT = """
element.addEventListener('click', (event) => {
  if (event.target.closest('a[href="#model-card"]')) {
    document.getElementById('model-card')?.closest('details')?.setAttribute('open', '');
  }
  const { face, moment } = event.target.dataset;
  if (moment === undefined) { return; }
  element.dataset.focused = event.target.id;
  trigger('select', { face: Number(face), moment: Number(moment) });
});
watch('value', () => {
  const focused = element.dataset.focused && document.getElementById(element.dataset.focused);
  if (focused && document.activeElement === document.body) {
    focused.focus({ preventScroll: true });
  }
});
"""
# Gradio drops the container queries of the style that it is given, and rules about what is around
# the page where they depend on its width. So these go into the head.
HEAD = (
    f"<style>.gradio-container.gradio-container {{\n{page.STYLE}}}\n"
    "html:has(body.dark) { color-scheme: dark; }\n"
    "@media (max-width: 30rem) { .gradio-container > .main { padding: 0.7rem !important; } }\n"
    "</style>"
)
STYLE = """
.gradio-container { width: 100%; max-width: 84rem !important; margin: 0 auto !important; }
header h1 { font-size: 1.6rem; margin: 0.4rem 0 0; }
header p { margin: 0.2rem 0 0.6rem; }
#status { min-height: 4.2rem; }
#status p { margin: 0 0 0.4rem; overflow-wrap: anywhere; }
#status progress { width: 100%; height: 0.6rem; accent-color: #0b62c4; }
:is(a, button, input, video):focus-visible {
  outline: 3px solid light-dark(#0b62c4, #7db8ff) !important; outline-offset: 2px;
}
#files .or { color: inherit; }
#results .wrap, #point .wrap { display: grid; gap: 0.3rem; }
#results .wrap { max-height: 22rem; overflow-y: auto; padding: 3px; }
.form:not(:has(input)), #tables:not(:has(a)) { display: none; }
#results label, #point label { width: 100%; overflow-wrap: anywhere; }
#shown .html-container { padding: 0; }
#shown h2, #shown h3, #shown h4 { font-weight: 600; }
#shown a, #tables a { text-decoration: underline; }
.verdict-page .strip input { background: none !important; border: 0 !important; }
.verdict-page { color-scheme: light; }
.dark .verdict-page { color-scheme: dark; }
.verdict-page.nothing-yet { color: var(--soft); }
@media (min-width: 60rem) {
  #shown { min-height: 36rem; }
  #side { position: sticky; top: 1rem; align-self: flex-start; }
}
.copy video, .copy img { display: block; max-width: 100%; max-height: 30rem; border-radius: 6px; }
.copy a, #tables a { display: inline-block; padding: 0.35rem 0; margin-right: 1.2rem; }
.verdict-page.copy h3 { margin-top: 0; }
"""


def status_html(status: Status) -> str:
    """Return what is going on: words, and a bar while something is."""
    bar = Markup("<progress></progress>")
    if status.share is not None:
        bar = Markup('<progress max="1" value="{:.3f}"></progress>').format(status.share)
    return Markup("<p>{}</p>{}").format(status.words, bar if status.busy else "")


def tables_html(session: Session) -> str:
    """Return the addresses of the tables of a session."""
    base = f"results/{session.token}"
    return Markup(
        '<p>All results: <a href="{0}/scores.csv" download>CSV</a>'
        '<a href="{0}/scores.json" download>JSON</a></p>'
    ).format(base)


def copy_html(session: Session, result: Result) -> str:
    """Return the copy of a video with what was seen, and the addresses of what to take away."""
    base = f"results/{session.token}/{quote(str(result.number))}"
    parts = []
    if result.copy is not None:
        shown = (
            '<img src="{0}/copy" alt="The picture with the faces that were found and their scores">'
            if result.copy.suffix == ".png"
            else '<video src="{0}/copy" controls preload="metadata" aria-label="The video with the '
            'faces that were found and their scores"></video>'
        )
        parts.append(Markup(shown).format(base))
        if result.copy_threshold != result.judged.rule.threshold:
            words = "It was drawn at the threshold {:.3g}."
            parts.append(Markup(f"<p>{words}</p>").format(result.copy_threshold))
        parts.append(Markup('<a href="{}/copy" download>Save this copy</a>').format(base))
    if result.copy_note:
        parts.append(Markup("<p>About the copy: {}.</p>").format(result.copy_note))
    parts.append(Markup('<a href="{}/page" download>Save this page (HTML)</a>').format(base))
    section = (
        '<section class="verdict-page video copy"><h3>To look at and to take away</h3>{}</section>'
    )
    # A plain string, or whatever is put in front of it would be escaped.
    return str(Markup(section).format(Markup("").join(parts)))
