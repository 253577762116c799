"""transcripts/: real conversations about cards, played again and compared byte for byte.

A transcript is a list of steps. What differs from run to run is written `{origin}` (scheme and host of the gateway), `{time}`,
`{payment}` (a payment's id), `{code}` (an approval code), `{expiry}`, `{authorize}`, `{token}`, `{authentication}` and `{signature}`; everything
else is exact. A request may use `{authorize}`, `{token}` and `{authentication}`: the newest one heard before. `play` is the buyer's part.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gerbang.channels.credit_card.channel import CHANNEL
from support.gateway import Answer, RunningGateway, independent_signature
from support.nonsnap import VECTORS, assert_genuine, import_merchant, request_text, served

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.json"))
CLIENT_ID, SECRET_KEY = VECTORS["client_id"], VECTORS["secret"]
_VOLATILE = (
    ("payment", re.compile(r"pay_[0-9A-Z]{26}")),
    ("time", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")),
    ("code", re.compile(r'(?<="approval_code":")\d{6}')),
    ("authorize", re.compile(r'(?<="authorize_id":")\d{17}')),
    ("authentication", re.compile(r"[0-9a-f]{64}")),
    ("expiry", re.compile(r'(?<="expiry":")\d\d/\d\d')),
    ("token", re.compile(r'(?<=")[0-9a-f]{32}(?=")')),
)


class Conversation:
    """What was heard so far."""

    def __init__(self, running: RunningGateway) -> None:
        self.running = running
        self.heard: dict[str, str] = {}

    def levelled(self, text: str) -> str:
        """Text with what differs from run to run replaced, and remembered."""
        text = text.replace(self.running.url, "{origin}")
        for word, pattern in _VOLATILE:
            found = pattern.findall(text)
            if found:
                self.heard[word] = found[-1]
            text = pattern.sub("{" + word + "}", text)
        return text

    def filled(self, body: str) -> str:
        for word in ("authorize", "authentication", "token"):
            if "{" + word + "}" in body:
                body = body.replace("{" + word + "}", self.heard[word])
        return body

    def say(self, request: dict[str, Any]) -> Answer:
        """Send the request of a step. A Signature that is written down is sent as it is, `{signature}` is made."""
        raw = None if request["body"] is None else self.filled(request["body"]).encode()
        headers = dict(request["headers"])
        if headers.get("Signature") == "{signature}":
            text = request_text(headers["Client-Id"], headers["Request-Id"], headers["Request-Timestamp"], request["target"], raw)
            headers["Signature"] = independent_signature(text, SECRET_KEY)
        return self.running.request(request["method"], request["target"], raw, headers)

    def written(self, answer: Answer) -> dict[str, Any]:
        """An answer as a transcript writes it down."""
        names = ("Content-Type", "Client-Id", "Request-Id", "Response-Timestamp", "Request-Timestamp", "Signature")
        headers = {name: answer.headers[name.lower()] for name in names if name.lower() in answer.headers}
        headers["Signature"] = "{signature}"
        return {
            "status": answer.status,
            "headers": {name: self.levelled(value) for name, value in headers.items()},
            "body": self.levelled(answer.body.decode()),
        }

    def play(self, wanted: dict[str, Any]) -> list[dict[str, str]]:
        """The buyer's part; everything the merchant was told about the order so far."""
        ended = self.running.control("POST", "/payments/outcome", {"client_id": CLIENT_ID, **wanted})
        return [{"url": one["url"], "body": self.levelled(one["body"])} for one in ended["notifications"]]


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=[path.stem for path in TRANSCRIPTS])
def test_a_transcript_is_still_what_is_said(path: Path, tmp_path: Path):
    """S2-03 … S2-124 as conversations; the requests with written signatures are those of the published vectors."""
    transcript = json.loads(path.read_text(encoding="utf-8"))
    with served(tmp_path, request_timestamp_window_s=0) as running:
        import_merchant(running, CLIENT_ID, SECRET_KEY, notification_url="https://merchant.example/notify")
        talk = Conversation(running)
        for step in transcript["steps"]:
            if "play" in step:
                assert talk.play(step["play"]) == step["notifications"]
                continue
            request = step["request"]
            answer = talk.say(request)
            assert talk.written(answer) == step["response"]
            assert_genuine(answer, request["method"], request["target"], client_id=CLIENT_ID, secret_key=SECRET_KEY)


def test_every_call_of_the_room_was_made_with_success():
    made = {
        (step["request"]["method"], step["request"]["target"])
        for path in TRANSCRIPTS
        for step in json.loads(path.read_text(encoding="utf-8"))["steps"]
        if "request" in step and step["response"]["status"] == 200
    }

    assert {(one.method, one.path) for one in CHANNEL.endpoints} <= made
    for path in TRANSCRIPTS:
        assert json.loads(path.read_text(encoding="utf-8"))["title"], path
