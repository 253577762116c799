"""Help, privacy and terms.

They describe what the software does; the operator of an installation adds their own name, address and rules.
"""

from gerbang.web.views import InfoTopic, Lang

# (heading, paragraphs)
Section = tuple[str, tuple[str, ...]]
INFO: dict[Lang, dict[InfoTopic, tuple[Section, ...]]] = {
    "id": {
        "help": (
            (
                "Pembayaran tidak berhasil",
                (
                    "Kembali ke toko dan buka lagi tautan pembayarannya. Halaman itu menunjukkan keadaan terakhir: sudah dibayar, "
                    "belum, atau sudah lewat batas waktu.",
                    "Bila halaman menyebut tidak ada uang yang berpindah, saldo Anda tetap utuh. Satu pesanan tidak dapat "
                    "dibayar dua kali.",
                ),
            ),
            (
                "PIN salah",
                (
                    "Setelah tiga kali PIN salah, PIN diblokir 30 menit agar orang lain tidak dapat menebaknya. Saldo Anda aman. "
                    "Saat masuk lagi, Anda dapat meminta kode lewat SMS yang langsung membukanya.",
                    "Petugas kami tidak pernah menanyakan PIN.",
                ),
            ),
            (
                "Barang, pengiriman, dan pengembalian uang",
                (
                    "Hubungi toko tempat Anda berbelanja dan sebutkan nomor invoice. Toko yang mengirim barang dan yang "
                    "memulai pengembalian uang.",
                ),
            ),
            (
                "Menghubungi kami",
                (
                    "Halaman ini dijalankan oleh penyelenggara pembayaran yang dipilih toko. Tanyakan alamatnya kepada toko, lalu "
                    "sebutkan nomor invoice, waktu pembayaran, dan nomor permintaan bila ada.",
                ),
            ),
        ),
        "privacy": (
            (
                "Yang kami simpan",
                (
                    "Pesanan dari toko (nomor invoice, jumlah, nama barang), hasil dan waktu pembayaran, serta akun dompet yang "
                    "membayar. PIN hanya disimpan sebagai sidik matematis yang tidak dapat dibaca kembali.",
                ),
            ),
            (
                "Kartu Anda",
                (
                    "Nomor kartu dipakai untuk pembayaran yang Anda setujui. CVV tidak disimpan setelah bank menjawab.",
                    "Kartu hanya disimpan bila Anda mencentangnya atau halaman memberi tahu bahwa toko menyimpannya. Kartu yang "
                    "disimpan dapat Anda hapus di halaman pembayaran.",
                ),
            ),
            (
                "Yang diketahui toko",
                (
                    "Toko menerima hasil pembayaran, waktunya, dan nomor invoice. Toko tidak menerima PIN, nomor kartu, "
                    "atau CVV, dan tidak melihat saldo Anda.",
                ),
            ),
            (
                "Yang tidak kami lakukan",
                (
                    "Halaman ini tidak memuat apa pun dari pihak ketiga, tidak memasang pelacak, dan tidak menampilkan iklan. "
                    "Nomor ponsel dan PIN tidak pernah ditulis di alamat halaman.",
                ),
            ),
            (
                "Berapa lama",
                (
                    "Catatan pembayaran disimpan selama aturan pembukuan mengharuskannya. Untuk melihat atau memperbaiki data "
                    "Anda, hubungi penyelenggara pembayaran melalui toko.",
                ),
            ),
        ),
        "terms": (
            (
                "Apa yang Anda setujui saat menekan Bayar",
                (
                    "Jumlah yang tertulis pada tombol dibayarkan dari saldo atau kartu Anda kepada toko, satu kali. "
                    "Tidak ada biaya tambahan di luar jumlah itu.",
                ),
            ),
            (
                "Batas waktu",
                (
                    "Setiap pesanan berlaku sampai waktu yang tertulis di halaman. Sesudah itu pembayaran tidak diterima lagi "
                    "dan tidak ada uang yang berpindah.",
                ),
            ),
            (
                "Membatalkan",
                (
                    "Sebelum membayar, Anda dapat membatalkan tanpa biaya. Sesudah membayar, pengembalian uang diatur oleh "
                    "toko tempat Anda berbelanja.",
                ),
            ),
            (
                "Tanggung jawab Anda",
                ("Jaga kerahasiaan PIN. Siapa pun yang mengetahui nomor ponsel dan PIN Anda dapat membayar dari akun Anda.",),
            ),
        ),
    },
    "en": {
        "help": (
            (
                "The payment did not go through",
                (
                    "Go back to the shop and open its payment link again. The page shows where things stand: paid, not paid yet, "
                    "or past the deadline.",
                    "When a page says that no money has moved, your balance is untouched. One order cannot be paid twice.",
                ),
            ),
            (
                "Wrong PIN",
                (
                    "After three wrong PINs the PIN is blocked for 30 minutes, so that nobody else can guess it. Your balance is safe. "
                    "When you sign in you can have a code sent by SMS that unblocks it at once.",
                    "Our staff never ask for your PIN.",
                ),
            ),
            (
                "Goods, delivery and refunds",
                ("Contact the shop and mention the invoice number. The shop sends the goods and starts any refund.",),
            ),
            (
                "How to reach us",
                (
                    "This page is run by the payment operator that the shop has chosen. Ask the shop for the address, then "
                    "mention the invoice number, the time of payment and the request number, if there is one.",
                ),
            ),
        ),
        "privacy": (
            (
                "What we keep",
                (
                    "The order from the shop (invoice number, amount, names of the items), the outcome and time of the payment, "
                    "and the wallet account that paid. The PIN is kept only as a mathematical fingerprint that cannot be read back.",
                ),
            ),
            (
                "Your card",
                (
                    "The card number is used for the payment you agree to. The security code is not kept once the bank has answered.",
                    "A card is saved only if you tick the box or the page tells you that the shop saves it. You can remove a saved "
                    "card on the payment page.",
                ),
            ),
            (
                "What the shop learns",
                (
                    "The shop receives the outcome of the payment, its time and the invoice number. It does not receive your "
                    "PIN, card number or security code and does not see your balance.",
                ),
            ),
            (
                "What we do not do",
                (
                    "This page loads nothing from third parties, sets no trackers and shows no advertising. Mobile numbers and "
                    "PINs are never written into the address of a page.",
                ),
            ),
            (
                "For how long",
                (
                    "Payment records are kept for as long as bookkeeping rules demand. To see or correct your data, contact the "
                    "payment operator through the shop.",
                ),
            ),
        ),
        "terms": (
            (
                "What you agree to when you press Pay",
                (
                    "The amount written on the button is paid from your balance or card to the shop, once. Nothing is added to it.",
                ),
            ),
            (
                "Deadline",
                (
                    "Every order is open until the time written on its page. After that the payment is no longer accepted and no "
                    "money moves.",
                ),
            ),
            (
                "Cancelling",
                ("Before you pay you can cancel free of charge. After you have paid, refunds are up to the shop.",),
            ),
            (
                "Your part",
                ("Keep your PIN secret. Anyone who knows your mobile number and PIN can pay from your account.",),
            ),
        ),
    },
}
