"""Calls of any room, made from its transcripts: the requests written there, sent by the demo merchant under numbers of their own."""

import copy
import hashlib
import json
import random
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gerbang.channel import Channel
from gerbang.endpoint import Endpoint
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from support.gateway import Answer, RunningGateway
from support.transcripts import CLIENT_ID, read, transcripts_of

NOBODY = "http://127.0.0.1:9/notify"  # nothing listens there, and nothing leaves this machine

_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")
_INVOICE = re.compile(r'"invoice_number":\s?"([^"]+)"')
_OWN_CODE = re.compile(r'"payment_code":\s?"(\d+)"')


@dataclass
class _Learnt:
    """What a written conversation is in this run.

    names   invoice numbers, Request-Ids and payment codes as written → those of this run
    words   `{word}` → the newest such value
    values  (key, value as written) → what was heard in its place
    """

    names: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    values: dict[tuple[str, Any], Any] = field(default_factory=dict)

    def learn(self, written: Any, said: Any, key: str = "") -> None:
        """Compare an answer as written with the one of this run."""
        if isinstance(written, dict) and isinstance(said, dict):
            for name in written.keys() & said.keys():
                self.learn(written[name], said[name], name)
        elif isinstance(written, list) and isinstance(said, list):
            for one, other in zip(written, said, strict=False):
                self.learn(one, other, key)
        elif isinstance(written, str) and _PLACEHOLDER.fullmatch(written):
            self.words[written] = said
        elif isinstance(written, str | int) and isinstance(said, str | int) and written != said:
            self.values[key, written] = said

    def told(self, text: str) -> Any:
        """A written body as it has to be sent in this run."""
        for number in _INVOICE.findall(text):
            self.names.setdefault(number, uuid.uuid4().hex[:20])
        for code in _OWN_CODE.findall(text):
            self.names.setdefault(code, own_code(code))
        for old, new in self.names.items():
            text = text.replace(json.dumps(old), json.dumps(new))
        text = _PLACEHOLDER.sub(lambda word: self.words.get(word[0], word[0]), text)
        return self._known(json.loads(text))

    def _known(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self._known(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [self._known(one, key) for one in value]
        return self.values.get((key, value), value) if isinstance(value, str | int) else value


def own_code(code: str) -> str:
    """Another payment code of a merchant's own, as long as this one."""
    return code[0] + "".join(random.choices("0123456789", k=len(code) - 1))


def renew(body: dict[str, Any], but: tuple[Any, ...] = ()) -> None:
    """Numbers that may be used once only, anew; `but` is the place of one that stays as it is."""
    if but != ("order", "invoice_number"):
        body["order"]["invoice_number"] = uuid.uuid4().hex[:20]
    info = body.get("online_to_offline_info")
    if isinstance(info, dict) and isinstance(info.get("payment_code"), str) and but[-1:] != ("payment_code",):
        info["payment_code"] = own_code(info["payment_code"])


def depends(text: str) -> bool:
    """Whether something in a request was learnt from an earlier answer, or whether it follows an order opened before."""
    return re.search(r"\{(?!check_sum)[a-z_]+\}", text) is not None or "original_request_id" in text


def summed(endpoint: Endpoint, body: Any, secret_key: str = SANDBOX_SECRET_KEY) -> Any:
    """The body with its check sum made anew, where it is signed by itself."""
    if endpoint.body_signature is None or not isinstance(body, dict) or not isinstance(body.get("security"), dict):
        return body
    text = endpoint.body_signature.text(body) + secret_key
    return {**body, "security": {**body["security"], "check_sum": hashlib.sha256(text.encode()).hexdigest()}}


def send(
    running: RunningGateway,
    endpoint: Endpoint,
    body: Any,
    *,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One signed call of the demo merchant."""
    return running.signed(endpoint.method, endpoint.path, summed(endpoint, body), request_id=request_id, headers=headers)


@dataclass(frozen=True)
class _Written:
    """A request of a transcript that succeeded."""

    steps: list[dict[str, Any]]
    index: int

    @property
    def body(self) -> str:
        return str(self.steps[self.index]["request"]["body"])

    @property
    def is_reusable(self) -> bool:
        return re.search(r'"reusable_status":\s?true', self.body) is not None

    @property
    def is_declined(self) -> bool:
        """Answered with 200 and a no."""
        return '"status":"FAILED"' in self.steps[self.index]["response"]["body"]


def _written(channel: Channel, endpoint: Endpoint) -> list[_Written]:
    """Requests that this endpoint answered with 200 and did, the fullest first."""
    found = [
        _Written(transcript["steps"], index)
        for transcript in map(read, transcripts_of(channel))
        for index, step in enumerate(transcript["steps"])
        if "request" in step and step["request"]["target"] == endpoint.path and step["response"]["status"] == 200
    ]
    assert found, f"{endpoint.path} has no successful conversation in the room's transcripts"
    return sorted(found, key=lambda one: (one.is_reusable, one.is_declined, -len(one.body)))


class Rooms:
    """Any room of a running sandbox, called as its transcripts call it."""

    def __init__(self, running: RunningGateway) -> None:
        self.running = running
        self._waits: dict[str, int] = {}  # channel → which of its orders waits for its buyer

    def sample(self, channel: Channel, endpoint: Endpoint) -> Any:
        """The fullest body that this endpoint accepts, told nobody, under new invoice numbers.

        One that names what earlier answers gave (`{authorize}`, `{token}`) is taken to where it can succeed: the conversation is held
        up to there.
        """
        return self._told(channel, endpoint, _written(channel, endpoint)[0])

    def follows(self, channel: Channel, endpoint: Endpoint) -> bool:
        """Whether the sample is about an order opened before."""
        return depends(_written(channel, endpoint)[0].body)

    def order(self, channel: Channel) -> "Opened":
        """An order of the room that waits for its buyer."""
        endpoint = channel.endpoints[0]
        written = _written(channel, endpoint)
        first = self._waits.get(channel.code, 0)
        for index in range(first, len(written)):
            body = self._told(channel, endpoint, written[index])
            request_id = uuid.uuid4().hex
            answer = send(self.running, endpoint, body, request_id=request_id)
            assert answer.status == 200, answer.body
            opened = Opened(self, channel, endpoint, body, request_id, answer)
            if opened.is_waiting:
                self._waits[channel.code] = index
                return opened
        raise AssertionError(f"no order in the transcripts of {channel.code} waits for its buyer")

    def _told(self, channel: Channel, endpoint: Endpoint, written: _Written) -> Any:
        learnt = _Learnt({CLIENT_ID: DEMO_CLIENT_ID})
        if depends(written.body):
            for step in written.steps[: written.index]:
                self._hold(channel, step, learnt)
        return summed(endpoint, told_nobody(learnt.told(written.body)))

    def _hold(self, channel: Channel, step: dict[str, Any], learnt: _Learnt) -> None:
        """One step of a conversation; what its answer says is learnt."""
        if "play" in step:
            played = {"client_id": DEMO_CLIENT_ID, **learnt.told(json.dumps(step["play"]))}
            ended = self.running.control("POST", "/payments/outcome", played)
            for one, said in zip(step["notifications"], ended["notifications"], strict=True):
                learnt.learn(json.loads(one["body"]), json.loads(said["body"]))
            return
        if "advance_s" in step:
            self.running.control("POST", "/clock", {"advance_s": step["advance_s"]})
            return
        request = step["request"]
        if request["method"] == "GET":
            return
        endpoint = next(one for one in channel.endpoints if one.path == request["target"])
        body = learnt.told(request["body"])
        body.setdefault("additional_info", {})["override_notification_url"] = (
            NOBODY  # so that there are notifications to learn from
        )
        own = request["headers"].get("Request-Id")
        said = send(self.running, endpoint, told_nobody(body), request_id=learnt.names.get(own))
        assert said.status == step["response"]["status"], said.body
        learnt.learn(json.loads(step["response"]["body"]), said.json)
        if own is not None:
            learnt.names[own] = said.headers["request-id"]


@dataclass(frozen=True)
class Opened:
    """An order that was accepted."""

    rooms: Rooms
    channel: Channel
    endpoint: Endpoint
    body: Any
    request_id: str
    answer: Answer

    @property
    def invoice(self) -> str:
        return str(self.body["order"]["invoice_number"])

    @property
    def record(self) -> Any:
        """What the gateway wrote down about it."""
        return self.rooms.running.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={self.invoice}")

    @property
    def payment(self) -> Any:
        return self.record["payments"][-1]

    @property
    def is_waiting(self) -> bool:
        """Whether a buyer can pay it."""
        if self.payment["state"] != "PENDING":
            return False
        if self.channel.party is None:
            return True
        from gerbang.providers.simulator import find_simulated

        payment_id = self.payment["id"]
        found = self.rooms.running.database.read_now(lambda tx: find_simulated(tx, payment_id))
        return found is not None and found.is_waiting

    def again(self) -> Any:
        """The same body under numbers of its own."""
        body = copy.deepcopy(self.body)
        renew(body)
        return body

    @property
    def status(self) -> Any:
        """Check status."""
        answer = self.rooms.running.status(self.invoice)
        assert answer.status == 200, answer.body
        return answer.json

    def play(self, outcome: str) -> Answer:
        """The buyer's part by the control API."""
        wanted = {"client_id": DEMO_CLIENT_ID, "invoice_number": self.invoice, "outcome": outcome}
        return self.rooms.running.request("POST", "/sandbox/v1/payments/outcome", json.dumps(wanted).encode())

    def over(self) -> None:
        """Its time to pay ends, and what may come after that has come."""
        now = self.rooms.running.control("GET", "/clock")["now"]
        left = datetime.fromisoformat(self.payment["expires_at"]) - datetime.fromisoformat(now)
        self.later(left.total_seconds() + 90)

    def later(self, seconds: float) -> None:
        """Time passes, and what fell due is done."""
        self.rooms.running.control("POST", "/clock", {"advance_s": seconds})


def told_nobody(body: Any) -> Any:
    """The body with notifications going nowhere."""
    if "notify_url" in body.get("order", {}):
        body["order"]["notify_url"] = NOBODY
    if "override_notification_url" in body.get("additional_info", {}):
        body["additional_info"]["override_notification_url"] = NOBODY
    return body
