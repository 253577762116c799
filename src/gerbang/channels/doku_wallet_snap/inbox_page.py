"""Sandbox: the text messages that customers would get, as a phone shows them."""

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gerbang.channels.doku_wallet_snap.front import Front
from gerbang.channels.doku_wallet_snap.views import Fate, Inbox, MessageView
from gerbang.errors import Refused
from gerbang.phones import normalise_phone
from gerbang.wallet.messages import InboxMessage, MessageState, inbox

INBOX_PATH = "/simulators/sms"
_SHOWN = 50


class InboxPage:
    """Newest first, by phone number; `?phone=` shows one of them."""

    def __init__(self, front: Front) -> None:
        assert front.settings.is_sandbox
        self._front = front

    def routes(self) -> list[BaseRoute]:
        return [Route(INBOX_PATH, self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """Every message, or one number's."""
        phone = _phone(request.query_params.get("phone", ""))
        now = self._front.now()
        found = await self._front.database.read(
            lambda tx: inbox(tx, settings=self._front.settings, now=now, phone=phone, limit=_SHOWN)
        )
        phones = dict.fromkeys(message.phone for message in found)
        return self._front.page(
            "doku_wallet_snap/inbox.html",
            lang=self._front.lang(request),
            path=INBOX_PATH,
            merchant=None,
            now=now,
            chosen=_local(phone) if phone else "",
            inboxes=tuple(
                Inbox(_local(one), tuple(_view(message) for message in found if message.phone == one)) for one in phones
            ),
        )


def _view(message: InboxMessage) -> MessageView:
    digits = re.search(r"\b\d{3} ?\d{3}\b", message.text)
    start, end = digits.span() if digits else (len(message.text), len(message.text))
    fate: Fate = "used" if message.code_used else "over" if message.code_over else ""
    if message.state is MessageState.FAILED:
        fate = "failed"
    return MessageView(
        id=message.id,
        before=message.text[:start],
        digits=message.text[start:end],
        after=message.text[end:],
        code="" if fate else message.code,
        fate=fate,
        at=message.at,
    )


def _phone(wanted: str) -> str | None:
    try:
        return normalise_phone(wanted) if wanted.strip() else None
    except Refused:
        return None


def _local(phone: str) -> str:
    """`6281234567890` → `0812 3456 7890`."""
    local = "0" + phone[2:] if phone.startswith("62") else phone
    return " ".join(local[at : at + 4] for at in range(0, len(local), 4))
