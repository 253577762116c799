"""The pretend issuing bank's page, where the buyer proves to be the cardholder (the ACS of 3-D Secure).

It looks like another house on purpose, works in a frame, as a full page and without JavaScript, and knows nothing of the
payment: it asks for a code and posts the result to the address that the authentication named. A POST without `action` shows the
page; the opener's `threeDSSessionData` travels along in hidden fields, never in a URL.
"""

import base64
import re
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gerbang.channels.credit_card.authentication import MESSAGE_VERSION
from gerbang.channels.credit_card.numbers import Brand
from gerbang.channels.credit_card.simulator import (
    MAX_RESENDS,
    Challenge,
    current_challenge,
    end_challenge,
    send_again,
    try_code,
)
from gerbang.storage import Tx
from gerbang.web.forms import read_form
from gerbang.web.forms import text as _text
from gerbang.web.i18n import choose_language, clock_time
from gerbang.web.pages import page_response
from gerbang.web.views import Lang
from gerbang.web.wiring import Wiring

PATH = "/simulators/bank"
TONES = 6  # invented colours of bank.css, one for each bank's name

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAX_SESSION_DATA = 4096
_INVENTED = "Bank Nusa"

Error = Literal["incomplete", "wrong", "too_soon"]

# What the sandbox's own buttons end the visit with.
_BUTTONS: Mapping[str, tuple[str, str | None]] = {
    "cancel": ("N", "cancelled"),
    "approve": ("Y", None),
    "fail": ("N", "wrong_code"),
    "expire": ("N", "timeout"),
}

ID: dict[str, str] = {
    "simulation": "(simulasi)",
    "title": "Masukkan kode verifikasi",
    "sent_to": "Kode 6 angka dikirim lewat SMS ke",
    "sent": "Kode 6 angka dikirim lewat SMS ke ponsel Anda.",
    "sent_again": "Kode sudah dikirim ulang.",
    "merchant": "Pedagang",
    "amount": "Jumlah",
    "card": "Kartu",
    "ending": "berakhiran {digits}",
    "code": "Kode verifikasi",
    "six_digits": "6 angka",
    "incomplete": "Tulis keenam angka kode verifikasi",
    "wrong": "Kode salah. Sisa {left} kali mencoba.",
    "wrong_last": "Kode salah. Sisa 1 kali mencoba; setelah itu verifikasi berhenti.",
    "too_soon": "Tunggu {seconds} detik sebelum meminta kode lagi.",
    "valid_until": "Berlaku sampai {time}",
    "left": "sisa {time}",
    "one_minute": "Sisa waktu 1 menit",
    "resend": "Kirim ulang kode",
    "resend_in": "Kirim ulang kode ({seconds} detik)",
    "no_more": "Kode sudah dikirim ulang {count} kali.",
    "verify": "Verifikasi",
    "busy": "Memproses",
    "cancel": "Batalkan",
    "help": "Butuh bantuan?",
    "help_code": "Kode datang dari bank Anda ke nomor ponsel yang terdaftar. Bila belum sampai, tunggu sebentar lalu minta kode baru.",
    "help_secret": "Jangan berikan kode kepada siapa pun, termasuk orang yang mengaku petugas bank.",
    "help_cancel": "Bila Anda tidak sedang berbelanja di {merchant}, pilih Batalkan. Kartu Anda tidak ditagih.",
    "language": "Bahasa",
    "no_money": "Bukan uang sungguhan",
    "sandbox_code": "Kode:",
    "approve": "Setujui",
    "fail": "Gagalkan",
    "expire": "Biarkan habis",
    "sandbox_cancel": "Batalkan",
    "outcomes": "Hasil simulasi",
    "end_Y": "Verifikasi berhasil",
    "end_wrong_code": "Verifikasi tidak berhasil",
    "end_cancelled": "Verifikasi dibatalkan",
    "end_timeout": "Waktu verifikasi habis",
    "next_Y": "Anda kembali ke {merchant} untuk menyelesaikan pembayaran.",
    "next_N": "Kartu Anda tidak ditagih. Anda kembali ke {merchant}.",
    "go_on": "Lanjutkan",
    "gone": "Halaman ini tidak ada",
    "gone_next": "Tautan verifikasi salah atau sudah tidak berlaku. Kembali ke toko dan mulai lagi pembayaran Anda.",
}
EN: dict[str, str] = {
    "simulation": "(simulation)",
    "title": "Enter the verification code",
    "sent_to": "A 6-digit code was sent by SMS to",
    "sent": "A 6-digit code was sent by SMS to your phone.",
    "sent_again": "The code was sent again.",
    "merchant": "Merchant",
    "amount": "Amount",
    "card": "Card",
    "ending": "ending in {digits}",
    "code": "Verification code",
    "six_digits": "6 digits",
    "incomplete": "Enter all six digits of the verification code",
    "wrong": "Wrong code. {left} attempts left.",
    "wrong_last": "Wrong code. 1 attempt left, then verification stops.",
    "too_soon": "Wait {seconds} seconds before asking for another code.",
    "valid_until": "Valid until {time}",
    "left": "{time} left",
    "one_minute": "1 minute left",
    "resend": "Send again",
    "resend_in": "Send again ({seconds} s)",
    "no_more": "The code was sent again {count} times.",
    "verify": "Verify",
    "busy": "Processing",
    "cancel": "Cancel",
    "help": "Need help?",
    "help_code": "The code comes from your bank to the mobile number it knows. If it has not arrived, wait a little and ask for another.",
    "help_secret": "Never give the code to anyone, not even to someone who claims to work for the bank.",
    "help_cancel": "If you are not shopping at {merchant} right now, choose Cancel. Your card is not charged.",
    "language": "Language",
    "no_money": "No real money",
    "sandbox_code": "Code:",
    "approve": "Approve",
    "fail": "Fail",
    "expire": "Let it expire",
    "sandbox_cancel": "Cancel",
    "outcomes": "Simulated outcomes",
    "end_Y": "Verification successful",
    "end_wrong_code": "Verification did not succeed",
    "end_cancelled": "Verification cancelled",
    "end_timeout": "Verification ran out of time",
    "next_Y": "You are going back to {merchant} to finish the payment.",
    "next_N": "Nothing was charged. You are going back to {merchant}.",
    "go_on": "Continue",
    "gone": "This page does not exist",
    "gone_next": "The verification link is wrong or no longer valid. Go back to the shop and start the payment again.",
}
_WORDS: Mapping[Lang, dict[str, str]] = {"id": ID, "en": EN}
_BADGES = {Brand.VISA: "VISA", Brand.MASTER: "MC", Brand.JCB: "JCB", Brand.AMEX: "AMEX"}

_COMPANY = {"PT", "(PERSERO)", "TBK", "TBK.", "INDONESIA"}
_ABBREVIATIONS = {"BCA", "BNI", "BRI", "BTN", "CIMB", "DBS", "HSBC", "KB", "NISP", "OCBC", "UOB"}


def bank_pages(wiring: Wiring) -> list[BaseRoute]:
    """The routes of the bank's page; none outside the sandbox."""
    if not wiring.settings.is_sandbox:
        return []
    pages = _BankPages(wiring)
    return [
        Route(f"{PATH}/{{acs_trans_id}}", pages.show, methods=["GET"]),
        Route(f"{PATH}/{{acs_trans_id}}", pages.act, methods=["POST"]),
    ]


def bank_name(issuer: str | None) -> str:
    """`PT BANK CENTRAL ASIA TBK` → `Bank Central Asia`. A test card without a bank belongs to one that does not exist."""
    words = [word for word in (issuer or "").split() if word.upper() not in _COMPANY]
    upper = [word.upper() for word in words]
    if "BANK" not in upper or "SIMULATOR" in upper:
        return _INVENTED
    return " ".join(word if word in _ABBREVIATIONS else word.capitalize() for word in upper)


class _BankPages:
    """Handlers of the page, over the parts of the running gateway."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    async def show(self, request: Request) -> Response:
        """Where the visit stands."""
        return await self._visit(request, FormData())

    async def act(self, request: Request) -> Response:
        """One press of a button, or, without `action`, the opener's form (CReq)."""
        return await self._visit(request, await read_form(request))

    async def _visit(self, request: Request, form: FormData) -> Response:
        acs_trans_id = request.path_params["acs_trans_id"]
        lang_wanted = _text(form, "lang") or request.query_params.get("lang")
        accepted = request.headers.get("accept-language")
        now = self._wiring.clock.now()
        action, code = _text(form, "action"), re.sub(r"[\s\-]", "", _text(form, "code"))
        complete = re.fullmatch(r"[0-9]{6}", code) is not None

        def do(tx: Tx) -> tuple[Challenge, Challenge] | None:
            before = current_challenge(tx, acs_trans_id, now=now)
            if before is None:
                return None
            # Once it ended nothing is tried again. And what was pressed on a page that is no longer the newest was pressed before:
            # the browser is only repeating it.
            if before.trans_status is not None or not _is_newest(form, before):
                return before, before
            if action == "verify" and complete:
                return before, try_code(tx, before, code)
            if action == "resend":
                return before, send_again(tx, before, now=now)
            if action in _BUTTONS:
                trans_status, reason = _BUTTONS[action]
                return before, end_challenge(tx, before, trans_status, reason=reason)
            return before, before

        done = await self._wiring.database.transact(do) if _UUID.fullmatch(acs_trans_id) else None
        if done is None:
            return self._gone(choose_language(lang_wanted, accepted))
        before, after = done
        lang = choose_language(lang_wanted or after.facts.lang, accepted)
        session = _text(form, "threeDSSessionData") or _text(form, "session")
        if len(session) > _MAX_SESSION_DATA:
            session = ""
        if after.trans_status is not None:
            return self._end(after, lang, session)
        error: Error | None = None
        if after.wrong_codes > before.wrong_codes:
            error = "wrong"
        elif action == "verify" and not complete:
            error = "incomplete"
        elif action == "resend" and after.codes_sent == before.codes_sent and _is_newest(form, before):
            error = "too_soon"
        return self._ask(after, lang, session, now=now, error=error, sent_again=after.codes_sent > before.codes_sent)

    def _ask(
        self, challenge: Challenge, lang: Lang, session: str, *, now: datetime, error: Error | None, sent_again: bool
    ) -> Response:
        words = _WORDS[lang]
        wait_s = challenge.resend_wait_s(now)
        message = None
        if error == "wrong":
            message = words["wrong_last" if challenge.tries_left == 1 else "wrong"].format(left=challenge.tries_left)
        elif error == "too_soon":
            # The one that was just refused may have become free meanwhile: say what is true now.
            message = words["too_soon"].format(seconds=wait_s) if challenge.resends_left > 0 and wait_s else None
        elif error == "incomplete":
            message = words["incomplete"]
        return self._page(
            "bank_code.html",
            lang,
            {
                **self._bank(challenge, session),
                "message": message,
                "of_code": error != "too_soon",
                "sent_again": sent_again,
                "seconds_left": max(0, int((challenge.expires_at - now).total_seconds())),
                "until": clock_time(challenge.expires_at, lang),
                "wait_s": wait_s,
                "max_resends": MAX_RESENDS,
            },
            status=422 if message else 200,
        )

    def _end(self, challenge: Challenge, lang: Lang, session: str) -> Response:
        status = challenge.trans_status
        return self._page(
            "bank_end.html",
            lang,
            {
                **self._bank(challenge, session),
                "outcome": "Y" if status == "Y" else challenge.facts.reason or "wrong_code",
                "authenticated": status == "Y",
                "notification_url": _web_address(challenge.facts.notification_url),
                "cres": _cres(challenge),
            },
        )

    def _gone(self, lang: Lang) -> Response:
        nobody = {"bank": _INVENTED, "tone": _tone(_INVENTED), "badge": None, "challenge": None}
        return self._page("bank_gone.html", lang, nobody, status=404)

    def _bank(self, challenge: Challenge, session: str) -> dict[str, object]:
        name = bank_name(challenge.facts.issuer)
        return {
            "challenge": challenge,
            "facts": challenge.facts,
            "bank": name,
            "tone": _tone(name),
            "badge": _BADGES[Brand(challenge.facts.brand)],
            "session": session,
            "page_url": f"{PATH}/{challenge.acs_trans_id}",
        }

    def _page(self, template: str, lang: Lang, context: Mapping[str, object], *, status: int = 200) -> Response:
        html = self._wiring.pages.render(f"credit_card/{template}", lang=lang, words=_WORDS[lang], **context)
        return page_response(html, status=status, frame_ancestors="*")


def _is_newest(form: FormData, challenge: Challenge) -> bool:
    return _text(form, "step") in ("", challenge.step)


def _tone(bank: str) -> int:
    return zlib.crc32(bank.encode()) % TONES


def _web_address(url: str) -> str:
    """The address if a form may lead there; it was ours when the challenge was opened."""
    assert urlsplit(url).scheme in ("http", "https"), "not a web address"
    return url


def _cres(challenge: Challenge) -> str:
    """The challenge response as the browser carries it (EMV 3DS: base64url without padding). The gateway believes the server."""
    message = {
        "threeDSServerTransID": challenge.facts.authentication_id,
        "acsTransID": challenge.acs_trans_id,
        "messageType": "CRes",
        "messageVersion": MESSAGE_VERSION,
        "challengeCompletionInd": "Y",
        "transStatus": challenge.trans_status,
    }
    return base64.urlsafe_b64encode(msgspec.json.encode(message)).decode().rstrip("=")
