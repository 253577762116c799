"""Every sentence of the shop, in both languages, and the icons and colours of the timeline."""

from datetime import datetime

from gerbang.client import CardFacts
from gerbang.demo.orders import WIB, Event, Order, State
from gerbang.money import dotted, format_rupiah

LANGUAGES = ("id", "en")

# fmt: off
_MONTHS = {
    "id": ("Januari", "Februari", "Maret", "April", "Mei", "Juni",
           "Juli", "Agustus", "September", "Oktober", "November", "Desember"),
    "en": ("January", "February", "March", "April", "May", "June",
           "July", "August", "September", "October", "November", "December"),
}
# fmt: on

TEXT = {
    "id": {
        "sandbox": "Toko contoh, uang simulasi",
        "skip": "Langsung ke isi",
        "language": "Bahasa",
        "cart": "Keranjang",
        "headline": "Segar dari pasar, dibayar dari mana saja",
        "products": "Barang",
        "add": "Tambah",
        "quantity": "Jumlah {name}",
        "more": "Tambah satu {name}",
        "less": "Kurangi satu {name}",
        "total": "Total",
        "pay_with": "Bayar dengan",
        "pay": "Bayar {amount}",
        "busy": "Memproses",
        "empty": "Keranjang masih kosong. Tambahkan barang, atau isi dengan contoh untuk langsung mencoba membayar.",
        "fill": "Isi dengan contoh",
        "order": "Pesanan {number}",
        "history": "Riwayat pesanan",
        "when": "{date}, waktu dalam WIB",
        "contents": "Isi pesanan",
        "invoice": "Nomor invoice",
        "method": "Cara bayar",
        "card": "Kartu",
        "issuer": "Bank penerbit",
        "approval_code": "Kode persetujuan",
        "answer": "Jawaban bank",
        "saved": "Disimpan untuk lain kali",
        "yes": "Ya",
        "continue": "Lanjutkan pembayaran",
        "again": "Bayar lagi {amount}",
        "again_note": "Pesanan baru dengan nomor invoice baru.",
        "back": "Kembali ke toko",
        "check": "Periksa sekarang",
        "awaiting": "Menunggu notifikasi",
        "awaiting_detail": "Gerbang pembayaran memanggil {path}",
        "code": "Kode yang menerima notifikasi ini",
        "footer": "Toko ini hanya memakai pustaka gerbang.client, sama seperti toko Anda nanti.",
        "processed": "Diproses oleh Gerbang",
        "unknown_title": "Pesanan ini tidak dikenal",
        "unknown": "Toko contoh menyimpan pesanan di memori: pesanan lama, atau dari sebelum server dimulai ulang, sudah hilang.",
        "missing_title": "Halaman ini tidak ada",
        "missing": "Alamatnya mungkin salah ketik.",
        "refused_title": "Permintaan ini tidak diterima",
        "refused": "Kembali ke toko dan coba dari sana.",
        "items_one": "{count} barang",
        "items_many": "{count} barang",
        "within_seconds": "kurang dari {count} detik setelah pembayaran",
        "within_minutes": "kurang dari {count} menit setelah pembayaran",
    },
    "en": {
        "sandbox": "Example shop, simulated money",
        "skip": "Skip to content",
        "language": "Language",
        "cart": "Cart",
        "headline": "Fresh from the market, paid from anywhere",
        "products": "Products",
        "add": "Add",
        "quantity": "Quantity of {name}",
        "more": "One more {name}",
        "less": "One less {name}",
        "total": "Total",
        "pay_with": "Pay with",
        "pay": "Pay {amount}",
        "busy": "Processing",
        "empty": "The cart is empty. Add something, or fill it with a sample to try paying right away.",
        "fill": "Fill with a sample",
        "order": "Order {number}",
        "history": "Order history",
        "when": "{date}, times in WIB",
        "contents": "In this order",
        "invoice": "Invoice number",
        "method": "Payment method",
        "card": "Card",
        "issuer": "Issuing bank",
        "approval_code": "Approval code",
        "answer": "The bank's answer",
        "saved": "Saved for next time",
        "yes": "Yes",
        "continue": "Continue paying",
        "again": "Pay again {amount}",
        "again_note": "A new order with a new invoice number.",
        "back": "Back to the shop",
        "check": "Check now",
        "awaiting": "Waiting for the notification",
        "awaiting_detail": "The payment gateway will call {path}",
        "code": "The code that receives this notification",
        "footer": "This shop uses the gerbang.client library and nothing else, just as your shop will.",
        "processed": "Processed by Gerbang",
        "unknown_title": "This order is not known",
        "unknown": "The example shop keeps orders in memory: old ones, and those made before the server restarted, are gone.",
        "missing_title": "There is no such page",
        "missing": "The address may be mistyped.",
        "refused_title": "This request was not accepted",
        "refused": "Go back to the shop and try from there.",
        "items_one": "{count} item",
        "items_many": "{count} items",
        "within_seconds": "less than {count} s after the payment",
        "within_minutes": "less than {count} min after the payment",
    },
}

# kind of event: icon, colour role ("" is ink), title and detail by language. {facts} come from the event.
EVENTS = {
    "made": (
        "shop",
        "",
        {"id": ("Pesanan dibuat", "{items}, {amount}"), "en": ("Order made", "{items}, {amount}")},
    ),
    "elsewhere": (
        "shop",
        "",
        {
            "id": ("Pesanan dibuat di luar toko", "{amount}, dengan kunci toko ini"),
            "en": ("Order made outside the shop", "{amount}, with this shop's keys"),
        },
    ),
    "sent": (
        "forward",
        "",
        {
            "id": ("Pembeli dikirim ke halaman bayar", "{method}"),
            "en": ("Buyer sent to the payment page", "{method}"),
        },
    ),
    "not_sent": (
        "cross",
        "bad",
        {
            "id": ("Halaman bayar tidak dapat dibuka", "Jawaban gerbang pembayaran: {reason}"),
            "en": ("The payment page could not be opened", "The payment gateway said: {reason}"),
        },
    ),
    "returned": (
        "arrow-back",
        "info",
        {
            "id": ("Pembeli kembali", "Belum tentu lunas: kami menunggu notifikasi"),
            "en": ("Buyer came back", "Not proof of payment: we wait for the notification"),
        },
    ),
    "returned_after": (
        "arrow-back",
        "",
        {
            "id": ("Pembeli kembali", "Hasilnya sudah diketahui dari notifikasi"),
            "en": ("Buyer came back", "The notification had told us already"),
        },
    ),
    "notified": (
        "bell",
        "ok",
        {
            "id": ("Notifikasi diterima, tanda tangan benar", "{status}{delay}"),
            "en": ("Notification received, signature correct", "{status}{delay}"),
        },
    ),
    "repeated": (
        "bell",
        "",
        {
            "id": ("Notifikasi yang sama diterima lagi", "Sudah dicatat, jadi tidak ada yang berubah"),
            "en": ("Same notification received again", "Recorded already, so nothing changes"),
        },
    ),
    "bad_signature": (
        "shield",
        "bad",
        {
            "id": ("Notifikasi ditolak, tanda tangan salah", "Dijawab 401, pesanan tidak berubah"),
            "en": ("Notification refused, wrong signature", "Answered 401, the order is unchanged"),
        },
    ),
    "wrong_amount": (
        "cross",
        "bad",
        {
            "id": ("Jumlah berbeda, tidak dicatat lunas", "Tertulis {said}, seharusnya {expected}"),
            "en": ("Different amount, not marked as paid", "It says {said}, the order is {expected}"),
        },
    ),
    "unchecked": (
        "clock",
        "wait",
        {
            "id": ("Status belum dapat dicek", "{reason}"),
            "en": ("The status could not be checked yet", "{reason}"),
        },
    ),
    "paid": (
        "check",
        "ok",
        {"id": ("Lunas", "Status dicek ulang: {status}"), "en": ("Paid", "Status checked again: {status}")},
    ),
    "declined": (
        "cross",
        "bad",
        {
            "id": ("Kartu ditolak", "{card}, {reason}. Kartu lain dapat dicoba selama halaman bayar terbuka."),
            "en": ("Card declined", "{card}, {reason}. Another card can be tried while the payment page is open."),
        },
    ),
    "cancelled": (
        "crossed",
        "off",
        {
            "id": ("Pembayaran dibatalkan", "Status dicek ulang: {status}"),
            "en": ("Payment cancelled", "Status checked again: {status}"),
        },
    ),
    "expired": (
        "clock",
        "off",
        {
            "id": ("Waktu pembayaran habis", "Status dicek ulang: {status}"),
            "en": ("Time to pay is over", "Status checked again: {status}"),
        },
    ),
}

# state: icon, colour role, and by language the word on the chip and the sentence under the heading.
STATES = {
    State.MADE: (
        "clock",
        "info",
        {
            "id": ("Menyiapkan", "Halaman pembayaran sedang disiapkan."),
            "en": ("Preparing", "The payment page is being prepared."),
        },
    ),
    State.UNSENT: (
        "cross",
        "bad",
        {
            "id": ("Belum terkirim", "Halaman pembayaran tidak dapat dibuka. Tidak ada uang yang berpindah."),
            "en": ("Not sent", "The payment page could not be opened. No money has moved."),
        },
    ),
    State.WAITING: (
        "clock",
        "info",
        {
            "id": ("Menunggu", "Belum dibayar. Halaman ini berganti sendiri."),
            "en": ("Awaiting payment", "Not paid yet. This page changes by itself."),
        },
    ),
    State.PAID: (
        "check",
        "ok",
        {
            "id": ("Lunas", "Terima kasih. Pesanan Anda sedang disiapkan."),
            "en": ("Paid", "Thank you. Your order is being prepared."),
        },
    ),
    State.CANCELLED: (
        "crossed",
        "off",
        {
            "id": ("Dibatalkan", "Pembayaran dibatalkan atau tidak berhasil. Tidak ada uang yang berpindah."),
            "en": ("Cancelled", "The payment was cancelled or did not succeed. No money has moved."),
        },
    ),
    State.EXPIRED: (
        "clock",
        "off",
        {
            "id": ("Kedaluwarsa", "Waktu pembayaran habis. Tidak ada uang yang berpindah."),
            "en": ("Expired", "Time to pay is over. No money has moved."),
        },
    ),
}

# The buyer is back and the status was asked for, and it is still open.
STILL_OPEN = {
    "id": "Belum dibayar: status pesanan masih {status}. Lanjutkan di halaman bayar, atau bayar lagi dengan invoice baru.",
    "en": "Not paid: the status is still {status}. Continue on the payment page, or pay again with a new invoice.",
}


def items(count: int, language: str) -> str:
    return TEXT[language]["items_one" if count == 1 else "items_many"].format(count=dotted(count))


def long_date(moment: datetime, language: str) -> str:
    """19 Mei 2026, in Jakarta."""
    local = moment.astimezone(WIB)
    return f"{local.day} {_MONTHS[language][local.month - 1]} {local.year}"


def delay(seconds: float | None, language: str) -> str:
    """How long the notification took, or nothing.

    The gateway dates payments in whole seconds, so only an upper limit is true. With the sandbox clock moved, that
    date is not of this world's time: then the difference means nothing and is left out.
    """
    if seconds is None or not 0 <= seconds < 3600:
        return ""
    if seconds < 60:
        return ", " + TEXT[language]["within_seconds"].format(count=int(seconds) + 1)
    return ", " + TEXT[language]["within_minutes"].format(count=int(seconds // 60) + 1)


def card_lines(card: CardFacts, language: str) -> list[tuple[str, str]]:
    """What an order's page says about its card."""
    text = TEXT[language]
    answer = f"{card.response_code} {card.response_message or ''}".rstrip() if card.response_code else None
    lines = (
        ("card", " ".join(filter(None, (card.masked, card.brand)))),
        ("issuer", card.issuer),
        ("approval_code", card.approval_code),
        ("answer", None if card.approval_code else answer),
        ("saved", text["yes"] if card.token else None),
    )
    return [(text[name], value) for name, value in lines if value]


def event_words(event: Event, order: Order, language: str) -> tuple[str, str]:
    """Title and detail of one row of the timeline."""
    title, detail = EVENTS[event.kind][2][language]
    facts = dict(event.facts)
    if event.kind == "made":
        facts |= {"items": items(sum(order.cart.values()), language), "amount": format_rupiah(order.amount)}
    elif event.kind == "elsewhere":
        facts["amount"] = format_rupiah(order.amount)
    elif event.kind == "sent":
        facts["method"] = order.method.name[language]
    elif event.kind == "notified":
        took = facts.get("delay_ms")
        facts["delay"] = delay(int(took) / 1000 if took is not None else None, language)
    elif event.kind == "wrong_amount":
        facts |= {name: format_rupiah(int(facts[name])) for name in ("said", "expected")}
    return title, detail.format(**facts)
