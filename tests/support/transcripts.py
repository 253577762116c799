"""Transcripts: real conversations of a room, kept beside its code, played again and compared byte for byte.

A file has a `title` and `steps`. A step is

    {"request": {method, target, headers, body}, "response": {status, headers, body}}
    {"play": {invoice_number, outcome}, "notifications": [{url, body}]}    the buyer's part; all that was told about the order so far
    {"advance_s": 3600}                                                    time passes

What differs from run to run is written `{word}` (`VOLATILE` lists the words); everything else is exact. A request may use a word too:
then it sends the newest such value heard. `{signature}` as a header and `{check_sum}` in a body are made, with the secret key.
`scripts/record_transcript.py` writes all but the requests and plays.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from gerbang.channel import Channel, all_channels
from support.gateway import Answer, RunningGateway, independent_signature
from support.nonsnap import VECTORS, assert_genuine, import_merchant, request_text

CLIENT_ID, SECRET_KEY = VECTORS["client_id"], VECTORS["secret"]
TIME = "2026-01-02T03:04:05Z"
NOTIFICATION_URL = "https://merchant.example/notify"
# The dates of published signatures are long ago; nobody sits before the telephone that an OVO push waits for.
SETTINGS: dict[str, Any] = {"request_timestamp_window_s": 0, "ovo_timeout_s": 0.2}

# Word → what it stands for. The order counts: what is found by a name stands before what is found by its form.
VOLATILE = (
    ("payment", re.compile(r"pay_[0-9A-Z]{26}")),
    ("time", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")),
    ("code", re.compile(r'(?<="approval_code":")\d{6}')),
    ("authorize", re.compile(r'(?<="authorize_id":")\d{17}')),
    ("authentication", re.compile(r"[0-9a-f]{64}")),
    ("expiry", re.compile(r'(?<="expiry":")\d\d/\d\d')),
    ("token", re.compile(r'(?<=")[0-9a-f]{32}(?=")')),
    ("payment_code", re.compile(r'(?<="payment_code":")\d{16}(?=")')),
    ("trx_id", re.compile(r'(?<="AGENT_TRX_ID","value":")\d{12}(?=")')),
    ("wib", re.compile(r'(?<=date":")20\d{12}(?=")')),
    ("reference", re.compile(r"(?<![0-9A-Za-z_])[0-9A-HJKMNP-TV-Z]{26}(?![0-9A-Za-z])")),
)
# Never what a merchant chose: an echo of these is as volatile as the original.
_ALWAYS = ("payment", "time")
_WORD = re.compile(r"\{(" + "|".join(word for word, _ in VOLATILE) + r")\}")
_HEADERS = ("Content-Type", "Client-Id", "Request-Id", "Response-Timestamp", "Request-Timestamp", "Signature")


def transcripts_of(channel: Channel) -> Iterator[Path]:
    """The files of a room, found beside its code."""
    package = channel.endpoints[0].action.__module__.rpartition(".")[0]
    with resources.as_file(resources.files(package)) as folder:
        yield from sorted((folder / "transcripts").glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    """A transcript."""
    transcript: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return transcript


class Conversation:
    """One conversation with a running sandbox: what was said and heard so far."""

    def __init__(self, running: RunningGateway) -> None:
        import_merchant(running, CLIENT_ID, SECRET_KEY, notification_url=NOTIFICATION_URL)
        self.running = running
        self._heard: dict[str, str] = {}
        self._sent = ""
        self._signs = {
            endpoint.path: endpoint.body_signature
            for channel in all_channels().values()
            for endpoint in channel.endpoints
            if endpoint.body_signature is not None
        }

    def levelled(self, text: str) -> str:
        """Text with what differs from run to run replaced, and remembered. What the merchant itself sent stays."""
        text = text.replace(self.running.url, "{origin}")
        for word, pattern in VOLATILE:
            text = pattern.sub(partial(self._word, word), text)
        return text

    def _word(self, word: str, found: re.Match[str]) -> str:
        value = found[0]
        if word not in _ALWAYS and f'"{value}"' in self._sent:
            return value
        self._heard[word] = value
        return "{" + word + "}"

    def filled(self, text: str, target: str) -> str:
        """A request's body with the newest values heard, and its check sum if it asks for one."""
        text = _WORD.sub(lambda found: self._heard.get(found[1], found[0]), text)
        signature = self._signs.get(target)
        if signature is not None and "{check_sum}" in text:
            signed = signature.text(json.loads(text)) + SECRET_KEY
            text = text.replace("{check_sum}", hashlib.sha256(signed.encode()).hexdigest())
        return text

    def say(self, request: dict[str, Any]) -> Answer:
        """Send the request of a step. A Signature that is written down is sent as it is, `{signature}` is made."""
        raw = None
        if request["body"] is not None:
            self._sent += _WORD.sub("", request["body"])
            raw = self.filled(request["body"], request["target"]).encode()
        headers = dict(request["headers"])
        if headers.get("Signature") == "{signature}":
            text = request_text(headers["Client-Id"], headers["Request-Id"], headers["Request-Timestamp"], request["target"], raw)
            headers["Signature"] = independent_signature(text, SECRET_KEY)
        answer = self.running.request(request["method"], request["target"], raw, headers)
        if "signature" in answer.headers:
            assert_genuine(answer, request["method"], request["target"], client_id=CLIENT_ID, secret_key=SECRET_KEY)
        else:
            assert "Signature" not in headers, "a signed request gets a signed answer"
        return answer

    def written(self, answer: Answer) -> dict[str, Any]:
        """An answer as a transcript writes it down."""
        headers = {name: answer.headers[name.lower()] for name in _HEADERS if name.lower() in answer.headers}
        if "Signature" in headers:
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

    def hold(self, step: dict[str, Any]) -> dict[str, Any]:
        """One step, with what was heard in it this time in the place of what is written."""
        if "play" in step:
            return {**step, "notifications": self.play(step["play"])}
        if "advance_s" in step:
            self.running.control("POST", "/clock", {"advance_s": step["advance_s"]})
            return step
        return {**step, "response": self.written(self.say(step["request"]))}


def record(running: RunningGateway, draft: dict[str, Any]) -> dict[str, Any]:
    """A transcript with its requests written out in full and everything heard filled in.

    In a draft a request needs only its target, and a body that may be JSON instead of text.
    """
    talk = Conversation(running)
    steps = [
        talk.hold({"request": in_full(step["request"], f"request-{index + 1}")} if "request" in step else step)
        for index, step in enumerate(draft["steps"])
    ]
    return {**draft, "steps": steps}


def in_full(request: dict[str, Any], request_id: str) -> dict[str, Any]:
    """A request with the headers it did not name and its body as text."""
    body = request.get("body")
    if body is not None and not isinstance(body, str):
        body = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    signed = {"Client-Id": CLIENT_ID, "Request-Id": request_id, "Request-Timestamp": TIME, "Signature": "{signature}"}
    usual = signed if body is None else {**signed, "Content-Type": "application/json"}
    return {
        "method": request.get("method", "GET" if body is None else "POST"),
        "target": request["target"],
        "headers": request.get("headers", usual),
        "body": body,
    }
