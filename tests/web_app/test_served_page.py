"""The page as programs reach it: what is refused, and what is left when it is closed."""

import json
import urllib.error
import urllib.request

import pytest

served_page = pytest.importorskip("benchmarks.browser", reason="no selenium").served_page
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("temporary")
    with served_page("--upload-mb", "1", temporary_folder=folder) as address:
        assert len(list(folder.glob("app-*"))) == 1
        yield address
    assert list(folder.glob("app-*")) == [], "files are left after the page was closed"


def answer_of(url, content=None, **headers):
    """Return status and text of an answer."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, content, headers)) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


def judged(address, path):
    """Ask for a verdict on a file of the server, as somebody might who knows Gradio."""
    file = {"path": str(path), "meta": {"_type": "gradio.FileData"}}
    content = json.dumps({"data": [[file], False]}).encode()
    url = f"{address}/gradio_api/call/judge"
    _, text = answer_of(url, content, Content_Type="application/json")
    return answer_of(f"{url}/{json.loads(text)['event_id']}")[1]


def test_a_file_of_this_machine_is_not_opened_by_its_path(address, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"something")
    text = judged(address, secret)
    assert "event: error" in text
    assert "UNREADABLE" not in text and "secret" not in text.replace(str(secret), "")
    for path in (secret, "/etc/passwd"):
        status, _ = answer_of(f"{address}/gradio_api/file={path}")
        assert status in {403, 404}, path


def test_a_file_that_is_too_large_is_refused_while_it_comes(address):
    boundary = "b0undary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
    content = head.encode() + bytes(2 * 2**20) + f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    status, text = answer_of(f"{address}/gradio_api/upload", content, Content_Type=kind)
    assert status == 413 and "exceed" in text


def test_the_page_answers_under_its_own_names_only(address):
    assert answer_of(address, Host="evil.example")[0] == 403
    status, text = answer_of(address)
    assert status == 200
    assert "https://fonts" not in text and "cdn" not in text
    assert json.loads(answer_of(f"{address}/config")[1])["analytics_enabled"] is False
