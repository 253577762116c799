"""transcripts/: real conversations, played again and compared byte for byte.

A transcript is a list of steps. What differs from run to run is written `{origin}` (scheme and host of the gateway), `{time}`,
`{payment}` (a payment's id), `{code}` (an approval code) and `{signature}`; everything else is exact. `play` is the buyer's part.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.gateway import Answer, RunningGateway, independent_signature
from support.nonsnap import VECTORS, assert_genuine, import_merchant, request_text, served

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.json"))
CLIENT_ID, SECRET_KEY = VECTORS["client_id"], VECTORS["secret"]
_VOLATILE = (
    (re.compile(r"pay_[0-9A-Z]{26}"), "{payment}"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "{time}"),
    (re.compile(r'(?<="approval_code":")\d{6}'), "{code}"),
)


def levelled(running: RunningGateway, text: str) -> str:
    """Text with what differs from run to run replaced."""
    text = text.replace(running.url, "{origin}")
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return text


def say(running: RunningGateway, request: dict[str, Any]) -> Answer:
    """Send the request of a step. A Signature that is written down is sent as it is, `{signature}` is made."""
    raw = None if request["body"] is None else request["body"].encode()
    headers = dict(request["headers"])
    if headers.get("Signature") == "{signature}":
        text = request_text(headers["Client-Id"], headers["Request-Id"], headers["Request-Timestamp"], request["target"], raw)
        headers["Signature"] = independent_signature(text, SECRET_KEY)
    return running.request(request["method"], request["target"], raw, headers)


def heard(running: RunningGateway, answer: Answer) -> dict[str, Any]:
    """An answer as a transcript writes it down."""
    names = ("Content-Type", "Client-Id", "Request-Id", "Response-Timestamp", "Request-Timestamp", "Signature")
    headers = {name: answer.headers[name.lower()] for name in names if name.lower() in answer.headers}
    headers["Signature"] = "{signature}"
    return {
        "status": answer.status,
        "headers": {name: levelled(running, value) for name, value in headers.items()},
        "body": levelled(running, answer.body.decode()),
    }


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=[path.stem for path in TRANSCRIPTS])
def test_a_transcript_is_still_what_is_said(path: Path, tmp_path: Path):
    """S0-01 … S0-32, S0-36 as conversations; the requests with written signatures are those of the published vectors."""
    transcript = json.loads(path.read_text(encoding="utf-8"))
    with served(tmp_path, request_timestamp_window_s=0) as running:
        import_merchant(running, CLIENT_ID, SECRET_KEY)
        for step in transcript["steps"]:
            if "play" in step:
                ended = running.control("POST", "/payments/outcome", {"client_id": CLIENT_ID, **step["play"]})
                told = [{"url": one["url"], "body": levelled(running, one["body"])} for one in ended["notifications"]]
                assert told == step["notifications"]
                continue
            request = step["request"]
            answer = say(running, request)
            assert heard(running, answer) == step["response"]
            assert_genuine(answer, request["method"], request["target"], client_id=CLIENT_ID, secret_key=SECRET_KEY)


def test_there_are_transcripts_and_each_says_what_it_shows():
    assert len(TRANSCRIPTS) >= 4
    for path in TRANSCRIPTS:
        transcript = json.loads(path.read_text(encoding="utf-8"))
        assert transcript["title"], path
        assert any("request" in step for step in transcript["steps"]), path
