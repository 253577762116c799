"""Every word of the hosted pages in Indonesian and English, and how both write time.

Indonesian is the source. Texts are plain; templates escape them. `{name}` is filled in by `text`.
"""

from datetime import datetime, timedelta
from typing import Literal

from gerbang.clock import WIB
from gerbang.web.views import InfoTopic, Lang

LANGUAGES: tuple[Lang, Lang] = ("id", "en")

ID: dict[str, str] = {
    # frame
    "wallet_name": "Dompet Gerbang",
    "skip": "Langsung ke isi",
    "language": "Bahasa",
    "processed_by": "Diproses oleh",
    "help": "Bantuan",
    "privacy": "Privasi",
    "terms": "Ketentuan",
    "more_information": "Informasi",
    "sandbox": "Sandbox",
    "no_real_money": "Bukan uang sungguhan",
    "demo_accounts": "Akun demo",
    "demo_explained": "Pilih akun untuk mengisi formulir, atau ketik sendiri.",
    "demo_phone": "Nomor ponsel",
    "demo_pin": "PIN",
    "demo_use": "Isi sebagai",
    "note_rich": "kaya",
    "note_tight": "pas-pasan",
    "note_empty": "kosong",
    "note_locked": "terkunci",
    "error_title": "Salah: {title}",
    # order
    "order": "Pesanan",
    "pay_to": "Bayar ke",
    "amount_to_pay": "Total pembayaran",
    "pay_before": "Bayar sebelum {time}",
    "hours_minutes_left": "sisa {hours} jam {minutes} menit",
    "hours_left": "sisa {hours} jam",
    "minutes_left": "sisa {minutes} menit",
    "minute_left": "sisa 1 menit",
    "moments_left": "kurang dari 1 menit lagi",
    "days_left": "sisa {days} hari",
    "ticking": "sisa {time}",
    "five_minutes": "Sisa waktu membayar 5 menit.",
    "one_minute": "Sisa waktu membayar 1 menit.",
    "invoice": "Invoice",
    "order_details": "Rincian pesanan ({count} barang)",
    "order_details_one": "Rincian pesanan (1 barang)",
    "details": "Rincian",
    "total": "Total",
    # wallet: log in
    "sign_in_to_pay": "Masuk untuk membayar",
    "mobile_number": "Nomor ponsel",
    "pin": "PIN 6 angka",
    "show_pin": "Tampilkan",
    "hide_pin": "Sembunyikan",
    "pin_word": "PIN",
    "continue": "Lanjut",
    "processing": "Memproses",
    "cancel": "Batalkan",
    "cancel_payment": "Batalkan pembayaran",
    "never_ask_pin": "Petugas kami tidak pernah menanyakan PIN.",
    "check_fields": "Periksa {count} isian berikut",
    "check_field_one": "Periksa isian berikut",
    "phone_missing": "Masukkan nomor ponsel",
    "phone_invalid": "Nomor ponsel tidak benar. Tulis seperti 0812 3456 7890",
    "pin_missing": "Masukkan PIN",
    "pin_format": "PIN terdiri dari 6 angka",
    "wrong_login": "Nomor ponsel atau PIN salah",
    "retype_pin": "Ketik ulang PIN",
    "attempts_left": "Sisa {count} kali mencoba, setelah itu akun terkunci.",
    "attempts_left_one": "Sisa 1 kali mencoba, setelah itu akun terkunci.",
    "check_both": "Periksa keduanya, lalu ketik ulang PIN.",
    "session_over": "Waktu masuk Anda sudah habis",
    "session_over_next": "Masuk lagi untuk melanjutkan. Belum ada uang yang berpindah.",
    "account_locked": "Akun ini terkunci",
    "account_locked_next": "Saldonya aman. Masuk dengan akun lain, atau hubungi bantuan. Belum ada uang yang berpindah.",
    "topup_limit": "Saldo tidak dapat diisi sebanyak itu",
    "topup_limit_next": "Batas saldo atau batas isi bulanan akun ini akan terlewati. Masuk dengan akun lain. Belum ada uang yang berpindah.",
    "try_later": "Terlalu banyak percobaan",
    "try_later_next": "Tunggu beberapa menit, lalu coba lagi. Belum ada uang yang berpindah.",
    # wallet: confirm
    "check_and_pay": "Periksa lalu bayar",
    "balance": "Saldo",
    "after_paying": "Setelah bayar",
    "short": "Kurang",
    "short_by": "Saldo kurang {amount}",
    "short_sandbox": "Isi saldo dulu, lalu bayar sebelum {time}. Belum ada uang yang berpindah.",
    "short_app": "Isi saldo di aplikasi dompet Anda, lalu masuk lagi di sini sebelum {time}. Belum ada uang yang berpindah.",
    "top_up_simulated": "Isi saldo (simulasi)",
    "pay_amount": "Bayar {amount}",
    "other_account": "Masuk dengan akun lain",
    "ending": "nomor berakhiran {digits}",
    # results
    "paid_title": "Pembayaran berhasil",
    "paid_text": "{shop} sudah menerima pembayaran Anda.",
    "paid_close": "Anda boleh menutup halaman ini.",
    "already_paid": "Pesanan ini sudah dibayar pada {time}.",
    "failed_title": "Pembayaran belum berhasil",
    "failed_text": "Tidak ada uang yang berpindah. Pilih cara bayar lain di {shop}.",
    "locked_title": "Akun terkunci",
    "locked_text": "PIN salah tiga kali. Tidak ada uang yang berpindah. Saldo Anda aman.",
    "locked_next": "Untuk membuka akun lagi, hubungi bantuan.",
    "open_help": "Buka halaman bantuan",
    "expired_title": "Waktu pembayaran habis",
    "expired_deadline": "Batas waktunya {time}.",
    "expired_card": "Kartu Anda tidak ditagih.",
    "expired_wallet": "Tidak ada uang yang berpindah.",
    "expired_next": "Buat pesanan baru di {shop} untuk mencoba lagi.",
    "cancelled_title": "Pembayaran dibatalkan",
    "cancelled_text": "Anda membatalkan pembayaran ini. Tidak ada uang yang berpindah.",
    "waiting_title": "Pembayaran sedang diproses",
    "waiting_bank_title": "Menunggu jawaban bank",
    "waiting_text": "Biasanya selesai dalam beberapa detik.",
    "waiting_keep": "Jangan tutup halaman ini; halaman akan berganti sendiri.",
    "check_now": "Periksa sekarang",
    "back_to": "Kembali ke {shop}",
    "save_or_print": "Simpan atau cetak bukti",
    "receipt": "Bukti pembayaran",
    "payment_facts": "Data pembayaran",
    "amount": "Jumlah",
    "to": "Untuk",
    "paid_with": "Dibayar dengan",
    "method": "Cara bayar",
    "time": "Waktu",
    "approval_code": "Kode persetujuan",
    # cards: the form
    "card_title": "Kartu kredit atau debit",
    "card_number": "Nomor kartu",
    "card_expiry": "Masa berlaku",
    "card_expiry_pattern": "BB/TT",
    "card_cvv": "CVV",
    "card_name": "Nama pada kartu",
    "optional": "(opsional)",
    "accepted_brands": "Menerima",
    "brand_VISA": "Visa",
    "brand_MASTER": "Mastercard",
    "brand_JCB": "JCB",
    "brand_AMEX": "American Express",
    "cvv_where": "Di mana CVV?",
    "cvv_hint_3": "3 angka di belakang kartu",
    "cvv_hint_4": "4 angka di depan kartu",
    "choose_card": "Pilih kartu",
    "new_card": "Pakai kartu lain",
    "card_ending": "{brand} berakhiran {last4}",
    "card_ending_spoken": "berakhiran {last4}",
    "card_expires": "Berlaku sampai {date}",
    "just_declined": "Baru saja ditolak",
    "remove": "Hapus",
    "remove_title": "Hapus kartu ini?",
    "remove_text": "Kartu ini tidak akan ditawarkan lagi saat Anda belanja di {shop}. Pembayaran yang sudah selesai tidak berubah.",
    "remove_card": "Hapus kartu",
    "keep_card": "Jangan hapus",
    "how_to_pay": "Cara bayar",
    "pay_in_full": "Bayar penuh",
    "plan_free": "Cicilan 0%, {tenor} bulan",
    "plan_interest": "Bunga {rate}%, total {total}",
    "plans_count": "{count} cara bayar untuk kartu ini",
    "save_card": "Simpan kartu ini untuk belanja berikutnya di {shop}",
    "save_forced": "Kartu ini akan disimpan oleh {shop}",
    "bank_may_ask": "Bank Anda dapat meminta kode verifikasi setelah ini.",
    "was": "harga semula",
    "subtotal": "Subtotal",
    "promo_line": "Promo kartu",
    "promo_line_issuer": "Promo kartu {issuer}",
    "promo_used": "Promo {amount} untuk kartu ini sudah dipakai",
    "demo_cards": "Kartu uji",
    "demo_cards_explained": "Pilih kartu untuk mengisi formulir, atau salin nomornya.",
    "demo_otp": "Kode",
    "copy": "Salin",
    "copied": "Tersalin",
    "card_filled": "Kartu uji diisikan",
    "outcome_form": "Hasil pembayaran",
    "outcome_explained": "Atau tentukan hasilnya, kartu uji apa pun yang dipakai. Berlaku sampai diubah.",
    "outcome_code": "Jawaban bank",
    "outcome_3ds": "3-D Secure",
    "outcome_by_card": "Sesuai kartu uji",
    "outcome_choose": "Tentukan",
    "outcome_approved": "Disetujui",
    "outcome_declined": "Ditolak",
    "outcome_silent": "Tidak ada jawaban",
    "outcome_3ds_frictionless": "Lolos tanpa kode (Y)",
    "outcome_3ds_challenge": "Minta kode, lolos (C, Y)",
    "outcome_3ds_challenge_failed": "Minta kode, gagal (C, N)",
    "outcome_3ds_attempted": "Dicoba saja (A)",
    "outcome_3ds_not_authenticated": "Tidak lolos (N)",
    "outcome_3ds_unavailable": "Tidak tersedia (U)",
    "outcome_3ds_rejected": "Ditolak bank (R)",
    "outcome_3ds_none": "Kartu tanpa 3-D Secure",
    # cards: what to correct
    "number_missing": "Masukkan nomor kartu",
    "number_incomplete": "Nomor kartu belum lengkap",
    "number_wrong": "Nomor kartu tidak benar. Periksa lagi angkanya",
    "number_brand": "Kartu jenis ini belum diterima",
    "number_refused": "Kartu ini tidak dapat dipakai untuk pembayaran ini",
    "number_live": "Ini bukan kartu uji. Di sandbox hanya kartu uji yang dapat dipakai",
    "number_test": "Ini kartu uji. Pakai kartu sungguhan",
    "expiry_missing": "Masukkan masa berlaku kartu",
    "expiry_format": "Tulis bulan dan tahun, misalnya 05/28",
    "expiry_over": "Masa berlaku kartu sudah lewat",
    "expiry_far": "Masa berlaku tidak benar. Periksa lagi tahunnya",
    "cvv_missing": "Masukkan kode CVV",
    "cvv_incomplete": "Kode CVV belum lengkap",
    "name_invalid": "Tulis nama seperti pada kartu, paling banyak 255 huruf",
    "consent_missing": "Setujui ketentuan pembayaran untuk melanjutkan",
    "choice_missing": "Pilih kartu",
    "card_gone": "Kartu ini sudah dihapus. Pilih kartu lain",
    "plan_missing": "Pilih cara bayar",
    "plan_unavailable": "Cara bayar ini tidak tersedia untuk kartu itu. Pilih lagi",
    "plan_now_offered": "Kartu ini dapat dicicil. Pilih cara bayar, lalu tekan Bayar lagi",
    "promo_changed": "Jumlahnya berubah karena promo kartu. Periksa, lalu tekan Bayar lagi",
    "form_stale": "Halaman ini sudah lama terbuka. Isi lagi CVV, lalu tekan Bayar",
    "already_sent": "Pembayaran sebelumnya sedang diproses. Tunggu sebentar, lalu periksa lagi",
    # cards: what the bank said
    "decline_declined": "Bank Anda menolak kartu ini",
    "decline_declined_next": "Kartu tidak ditagih. Coba kartu lain atau hubungi bank Anda.",
    "decline_limit": "Limit atau saldo kartu tidak cukup",
    "decline_limit_next": "Kartu tidak ditagih. Coba kartu lain.",
    "decline_expired": "Masa berlaku kartu sudah lewat",
    "decline_expired_next": "Kartu tidak ditagih. Periksa masa berlakunya, atau coba kartu lain.",
    "decline_number": "Nomor kartu tidak dikenal bank",
    "decline_number_next": "Kartu tidak ditagih. Periksa lagi angkanya, atau coba kartu lain.",
    "decline_cvv": "Kode CVV tidak cocok",
    "decline_cvv_next": "Kartu tidak ditagih. Ketik ulang CVV, atau coba kartu lain.",
    "decline_verification": "Verifikasi bank tidak berhasil",
    "decline_verification_next": "Kartu Anda tidak ditagih. Coba lagi, atau pakai kartu lain.",
    "decline_verification_timeout": "Waktu verifikasi habis",
    "decline_verification_timeout_next": "Kartu Anda tidak ditagih. Coba lagi, atau pakai kartu lain.",
    "decline_verification_cancelled": "Verifikasi bank dibatalkan",
    "decline_verification_cancelled_next": "Kartu Anda tidak ditagih. Coba lagi, atau pakai kartu lain.",
    "decline_unusable": "Kartu ini tidak dapat dipakai",
    "decline_unusable_next": "Kartu tidak ditagih. Coba kartu lain.",
    "decline_not_accepted": "Pembayaran belum dapat diterima",
    "decline_not_accepted_next": "Kartu tidak ditagih. Coba cara bayar lain.",
    "decline_not_processed": "Bank tidak dapat memproses pembayaran ini",
    "decline_not_processed_next": "Kartu tidak ditagih. Coba lagi nanti, atau coba kartu lain.",
    "decline_bank_silent": "Bank belum menjawab",
    "decline_bank_silent_next": "Jangan bayar lagi dulu; kami sedang memeriksa.",
    "card_attempts_left": "Sisa {count} kali mencoba.",
    "card_attempts_left_one": "Sisa 1 kali mencoba.",
    "card_attempts_used": "Sudah {count} kali mencoba. Tidak ada kartu yang ditagih. Pilih cara bayar lain di {shop}.",
    "card_failed_text": "Kartu Anda tidak ditagih. Pilih cara bayar lain di {shop}.",
    "held_title": "Pembayaran disetujui",
    "held_text": "Bank menahan jumlah ini di kartu Anda. {shop} menagihnya saat pesanan diproses.",
    "installments_of": "Cicilan {tenor} × {monthly}",
    # 3-D Secure
    "verify_title": "Verifikasi oleh bank Anda",
    "verify_keep": "Jangan tutup halaman ini",
    "verify_frame": "Halaman verifikasi bank",
    "verify_open": "Buka halaman bank",
    "verify_done": "Verifikasi selesai",
    "verify_done_text": "Kami meneruskan Anda ke hasil pembayaran.",
    # wallet for partners: set a PIN
    "sms_inbox": "Kotak SMS",
    "demo_account_pin": "PIN akun demo:",
    "form_old": "Halaman ini sudah lama terbuka",
    "form_old_next": "Ketik lagi PIN, lalu lanjutkan.",
    "link_gone": "Tautan ini tidak berlaku",
    "link_gone_text": "Mungkin sudah diganti dengan yang baru, atau alamatnya tidak lengkap. Kembali ke aplikasi yang membukanya, lalu mulai lagi dari sana.",
    "step_of": "Langkah {step} dari {steps}",
    "create_pin": "Buat PIN",
    "create_pin_text": "Enam angka untuk menyetujui setiap pembayaran. Hindari tanggal lahir dan angka berurutan seperti 123456.",
    "for_number": "Untuk",
    "new_pin": "PIN baru, 6 angka",
    "repeat_pin": "Ulangi PIN",
    "save_pin": "Simpan PIN",
    "pin_weak": "PIN terlalu mudah ditebak. Pilih angka yang tidak berurutan atau berulang.",
    "pins_differ": "Kedua PIN tidak sama. Ketik ulang keduanya.",
    "repeat_missing": "Ketik PIN sekali lagi di sini. Ketik ulang keduanya.",
    "doku_id": "DOKU ID",
    "pin_done": "PIN sudah dibuat",
    "pin_done_text": "Dompet Anda sudah siap. Lanjutkan di {partner}.",
    "pin_late": "Waktu membuat PIN habis",
    "pin_late_text": "Dompet belum dibuat. Daftar sekali lagi di {partner} untuk mendapat kode baru.",
    "phone_taken": "Nomor ini sudah punya dompet",
    "phone_taken_text": "Dompet baru tidak dibuat. Kembali ke {partner}, lalu hubungkan dompet yang sudah ada.",
    # wallet for partners: consent
    "bind_title": "Hubungkan ke {partner}?",
    "bind_who": "Masuk dengan nomor ponsel dan PIN dompet Anda.",
    "bind_grants": "Yang dapat dilakukan {partner}",
    "grant_see": "Melihat saldo dan riwayat dompet Anda",
    "grant_ask": "Meminta pembayaran",
    "grant_ask_pin": "Anda tetap memasukkan PIN di halaman pembayaran",
    "grant_send": "Menahan saldo dan mengirimnya ke rekening bank",
    "grant_send_how": "Atas permintaan Anda di {partner}, tanpa PIN",
    "grant_not": "Tidak dapat melihat atau mengubah PIN",
    "bind_go": "Hubungkan",
    "bind_end": "Anda dapat memutuskan hubungan kapan saja di {partner}.",
    "pin_wrong": "PIN salah",
    "pin_left": "Sisa {count} kali mencoba, setelah itu PIN diblokir 30 menit.",
    "pin_left_one": "Sisa 1 kali mencoba, setelah itu PIN diblokir 30 menit.",
    "pin_wrong_next": "Belum ada uang yang berpindah.",
    "bind_pin_wrong_next": "Dompet Anda belum terhubung.",
    "bind_wrong_login_next": "Periksa keduanya, lalu ketik ulang PIN. Setelah 3 kali salah, PIN diblokir 30 menit.",
    "bound": "Dompet sudah terhubung",
    "bound_text": "{partner} sudah mendapat persetujuan Anda. Lanjutkan di sana.",
    "not_bound": "Dompet tidak dihubungkan",
    "not_bound_text": "{partner} tidak mendapat akses ke dompet Anda.",
    "bind_late": "Waktu menghubungkan habis",
    "bind_late_text": "Dompet Anda tidak dihubungkan. Mulai lagi di {partner}.",
    "pin_blocked": "PIN diblokir sementara",
    "pin_blocked_text": "PIN salah tiga kali. Coba lagi setelah {time}. Dompet Anda tidak dihubungkan ke {partner}, dan saldonya aman.",
    "account_shut": "Akun ini tidak dapat dipakai",
    "account_shut_text": "Akun terkunci atau sudah ditutup. Dompet tidak dihubungkan ke {partner}, dan saldonya aman.",
    # wallet for partners: pay
    "pay_with_pin": "Masukkan PIN untuk membayar",
    "purchase_short_app": "Isi saldo dompet Anda, lalu muat ulang halaman ini sebelum {time}. Belum ada uang yang berpindah.",
    "purchase_topup_limit": "Batas isi saldo bulanan akun ini akan terlewati. Pilih cara bayar lain. Belum ada uang yang berpindah.",
    "purchase_hold_blocked": "PIN salah tiga kali. Coba lagi setelah {time}. Belum ada uang yang berpindah, dan saldo Anda aman.",
    "purchase_hold_locked": "Akun terkunci atau sudah ditutup. Belum ada uang yang berpindah. Pilih cara bayar lain, atau hubungi bantuan.",
    "purchase_blocked": "PIN diblokir sementara",
    "purchase_blocked_text": "PIN salah tiga kali, jadi pembayaran ini dihentikan dan PIN diblokir 30 menit. Tidak ada uang yang berpindah. Saldo Anda aman.",
    "shop_cancelled": "Pembayaran dibatalkan",
    "shop_cancelled_text": "{shop} membatalkan pembayaran ini. Tidak ada uang yang berpindah.",
    "money_returned": "Uang sudah kembali",
    "money_returned_text": "{shop} mengembalikan {amount} ke saldo Anda.",
    # wallet for partners: upgrade
    "upgrade_title": "Verifikasi akun Anda",
    "upgrade_text": "Dengan data KTP, dompet Anda dapat dipakai lebih leluasa.",
    "upgrade_balance": "Saldo sampai {amount}",
    "upgrade_monthly": "Uang masuk sampai {amount} per bulan",
    "upgrade_send": "Kirim saldo ke rekening bank",
    "upgrade_form_text": "Tulis persis seperti pada KTP Anda.",
    "upgrade_rejected": "Data sebelumnya belum cocok",
    "upgrade_rejected_next": "Periksa dengan KTP Anda, lalu kirim lagi.",
    "upgrade_try_later_next": "Tunggu beberapa menit, lalu coba lagi.",
    "upgrade_session_over_next": "Masuk lagi untuk melanjutkan. Data belum dikirim.",
    "nik": "NIK, 16 angka",
    "ktp_name": "Nama lengkap",
    "birth_place": "Tempat lahir",
    "birth_date": "Tanggal lahir",
    "ktp_address": "Alamat",
    "nik_missing": "Masukkan NIK",
    "nik_invalid": "NIK terdiri dari 16 angka",
    "name_missing": "Masukkan nama lengkap",
    "birth_place_missing": "Masukkan tempat lahir",
    "birth_place_invalid": "Tulis tempat lahir, paling banyak 100 huruf",
    "birth_date_missing": "Masukkan tanggal lahir",
    "birth_date_invalid": "Tanggal lahir tidak benar. Tulis seperti 17/08/1995",
    "address_missing": "Masukkan alamat",
    "address_invalid": "Tulis alamat, paling banyak 300 huruf",
    "upgrade_go": "Kirim data",
    "upgrade_kept": "Data Anda disimpan terenkripsi dan tidak diberikan kepada toko.",
    "upgraded": "Akun Anda sudah terverifikasi",
    "upgraded_text": "Batas saldo sudah naik, dan Anda dapat mengirim saldo ke rekening bank. Anda boleh menutup halaman ini.",
    "upgrade_waits": "Data Anda sedang diperiksa",
    "upgrade_waits_text": "Sampai selesai, dompet Anda dapat dipakai seperti biasa. Anda boleh menutup halaman ini.",
    # sandbox: text messages
    "simulated": "(simulasi)",
    "messages": "Pesan",
    "all_numbers": "Semua nomor",
    "no_messages": "Belum ada pesan. Kode verifikasi muncul di sini begitu ada yang mendaftar atau memutuskan hubungan.",
    "new_message": "Pesan baru",
    "sms_used": "Sudah dipakai.",
    "sms_over": "Sudah tidak berlaku.",
    "sms_failed": "Tidak terkirim.",
    # errors
    "not_found_title": "Halaman tidak ditemukan",
    "not_found_text": "Alamat ini tidak ada atau sudah tidak berlaku. Buka lagi tautan pembayaran dari toko tempat Anda berbelanja.",
    "broken_title": "Ada gangguan di sisi kami",
    "broken_text": "Pembayaran Anda tidak diproses dua kali. Tunggu sebentar, lalu coba lagi.",
    "replaced_title": "Halaman pembayaran ini sudah diganti",
    "replaced_text": "Buka tautan terbaru dari {shop}.",
    "replaced_text_shop": "Buka tautan terbaru dari toko tempat Anda berbelanja.",
    "try_again": "Coba lagi",
    "request_id": "Nomor permintaan",
    "request_id_why": "Sebutkan nomor ini bila Anda menghubungi bantuan.",
}

EN: dict[str, str] = {
    # frame
    "wallet_name": "Dompet Gerbang",
    "skip": "Skip to content",
    "language": "Language",
    "processed_by": "Processed by",
    "help": "Help",
    "privacy": "Privacy",
    "terms": "Terms",
    "more_information": "Information",
    "sandbox": "Sandbox",
    "no_real_money": "No real money",
    "demo_accounts": "Demo accounts",
    "demo_explained": "Pick an account to fill in the form, or type it yourself.",
    "demo_phone": "Mobile number",
    "demo_pin": "PIN",
    "demo_use": "Fill in as",
    "note_rich": "rich",
    "note_tight": "short of money",
    "note_empty": "empty",
    "note_locked": "locked",
    "error_title": "Error: {title}",
    # order
    "order": "Order",
    "pay_to": "Pay to",
    "amount_to_pay": "Amount to pay",
    "pay_before": "Pay before {time}",
    "hours_minutes_left": "{hours} h {minutes} min left",
    "hours_left": "{hours} h left",
    "minutes_left": "{minutes} min left",
    "minute_left": "1 min left",
    "moments_left": "less than 1 min left",
    "days_left": "{days} days left",
    "ticking": "{time} left",
    "five_minutes": "5 minutes left to pay.",
    "one_minute": "1 minute left to pay.",
    "invoice": "Invoice",
    "order_details": "Order details ({count} items)",
    "order_details_one": "Order details (1 item)",
    "details": "Details",
    "total": "Total",
    # wallet: log in
    "sign_in_to_pay": "Sign in to pay",
    "mobile_number": "Mobile number",
    "pin": "6-digit PIN",
    "show_pin": "Show",
    "hide_pin": "Hide",
    "pin_word": "PIN",
    "continue": "Continue",
    "processing": "Processing",
    "cancel": "Cancel",
    "cancel_payment": "Cancel payment",
    "never_ask_pin": "Our staff never ask for your PIN.",
    "check_fields": "Check these {count} fields",
    "check_field_one": "Check this field",
    "phone_missing": "Enter your mobile number",
    "phone_invalid": "The mobile number is not right. Write it like 0812 3456 7890",
    "pin_missing": "Enter your PIN",
    "pin_format": "The PIN is 6 digits",
    "wrong_login": "Wrong mobile number or PIN",
    "retype_pin": "Type your PIN again",
    "attempts_left": "{count} attempts left, then the account is locked.",
    "attempts_left_one": "1 attempt left, then the account is locked.",
    "check_both": "Check both, then type your PIN again.",
    "session_over": "Your sign-in has run out",
    "session_over_next": "Sign in again to go on. No money has moved.",
    "account_locked": "This account is locked",
    "account_locked_next": "Its balance is safe. Sign in with another account, or contact help. No money has moved.",
    "topup_limit": "The balance cannot be topped up that far",
    "topup_limit_next": "It would pass this account's balance or monthly limit. Sign in with another account. No money has moved.",
    "try_later": "Too many attempts",
    "try_later_next": "Wait a few minutes, then try again. No money has moved.",
    # wallet: confirm
    "check_and_pay": "Check and pay",
    "balance": "Balance",
    "after_paying": "After paying",
    "short": "Short by",
    "short_by": "Your balance is {amount} short",
    "short_sandbox": "Top up first, then pay before {time}. No money has moved.",
    "short_app": "Top up in your wallet app, then sign in here again before {time}. No money has moved.",
    "top_up_simulated": "Top up (simulation)",
    "pay_amount": "Pay {amount}",
    "other_account": "Use another account",
    "ending": "number ending in {digits}",
    # results
    "paid_title": "Payment successful",
    "paid_text": "{shop} has received your payment.",
    "paid_close": "You may close this page.",
    "already_paid": "This order was paid at {time}.",
    "failed_title": "Payment not completed",
    "failed_text": "No money has moved. Choose another way to pay at {shop}.",
    "locked_title": "Account locked",
    "locked_text": "The PIN was wrong three times. No money has moved. Your balance is safe.",
    "locked_next": "To have the account opened again, contact help.",
    "open_help": "Open the help page",
    "expired_title": "Time to pay is over",
    "expired_deadline": "The deadline was {time}.",
    "expired_card": "Nothing was charged.",
    "expired_wallet": "No money has moved.",
    "expired_next": "Place a new order at {shop} to try again.",
    "cancelled_title": "Payment cancelled",
    "cancelled_text": "You cancelled this payment. No money has moved.",
    "waiting_title": "Your payment is being processed",
    "waiting_bank_title": "Waiting for the bank",
    "waiting_text": "This usually takes a few seconds.",
    "waiting_keep": "Keep this page open; it changes by itself.",
    "check_now": "Check now",
    "back_to": "Back to {shop}",
    "save_or_print": "Save or print receipt",
    "receipt": "Payment receipt",
    "payment_facts": "Payment details",
    "amount": "Amount",
    "to": "To",
    "paid_with": "Paid with",
    "method": "Way to pay",
    "time": "Time",
    "approval_code": "Approval code",
    # cards: the form
    "card_title": "Credit or debit card",
    "card_number": "Card number",
    "card_expiry": "Expiry date",
    "card_expiry_pattern": "MM/YY",
    "card_cvv": "Security code (CVV)",
    "card_name": "Name on card",
    "optional": "(optional)",
    "accepted_brands": "Accepts",
    "brand_VISA": "Visa",
    "brand_MASTER": "Mastercard",
    "brand_JCB": "JCB",
    "brand_AMEX": "American Express",
    "cvv_where": "Where is the security code?",
    "cvv_hint_3": "3 digits on the back",
    "cvv_hint_4": "4 digits on the front",
    "choose_card": "Choose a card",
    "new_card": "Use a new card",
    "card_ending": "{brand} ending {last4}",
    "card_ending_spoken": "ending {last4}",
    "card_expires": "Expires {date}",
    "just_declined": "Declined just now",
    "remove": "Remove",
    "remove_title": "Remove this card?",
    "remove_text": "It will no longer be offered when you shop at {shop}. Payments already made do not change.",
    "remove_card": "Remove card",
    "keep_card": "Keep it",
    "how_to_pay": "How to pay",
    "pay_in_full": "Pay in full",
    "plan_free": "0% instalments, {tenor} months",
    "plan_interest": "{rate}% interest, {total} in total",
    "plans_count": "{count} ways to pay with this card",
    "save_card": "Save this card for next time at {shop}",
    "save_forced": "{shop} will save this card",
    "bank_may_ask": "Your bank may ask for a verification code next.",
    "was": "was",
    "subtotal": "Subtotal",
    "promo_line": "Card promotion",
    "promo_line_issuer": "{issuer} card promotion",
    "promo_used": "{amount} off with this card",
    "demo_cards": "Test cards",
    "demo_cards_explained": "Pick a card to fill in the form, or copy its number.",
    "demo_otp": "Code",
    "copy": "Copy",
    "copied": "Copied",
    "card_filled": "Test card filled in",
    "outcome_form": "Outcome of the payment",
    "outcome_explained": "Or choose the outcome, whichever test card is used. It stays until you change it.",
    "outcome_code": "The bank's answer",
    "outcome_3ds": "3-D Secure",
    "outcome_by_card": "As the test card says",
    "outcome_choose": "Choose",
    "outcome_approved": "Approved",
    "outcome_declined": "Declined",
    "outcome_silent": "No answer",
    "outcome_3ds_frictionless": "Passes without a code (Y)",
    "outcome_3ds_challenge": "Asks for a code, passes (C, Y)",
    "outcome_3ds_challenge_failed": "Asks for a code, fails (C, N)",
    "outcome_3ds_attempted": "Attempted only (A)",
    "outcome_3ds_not_authenticated": "Not authenticated (N)",
    "outcome_3ds_unavailable": "Not available (U)",
    "outcome_3ds_rejected": "Rejected (R)",
    "outcome_3ds_none": "A card without 3-D Secure",
    # cards: what to correct
    "number_missing": "Enter the card number",
    "number_incomplete": "The card number is incomplete",
    "number_wrong": "The card number is not right. Check the digits",
    "number_brand": "This type of card is not accepted",
    "number_refused": "This card cannot be used for this payment",
    "number_live": "This is not a test card. The sandbox takes test cards only",
    "number_test": "This is a test card. Use a real one",
    "expiry_missing": "Enter the expiry date",
    "expiry_format": "Enter month and year, like 05/28",
    "expiry_over": "The card has expired",
    "expiry_far": "The expiry date is not right. Check the year",
    "cvv_missing": "Enter the security code",
    "cvv_incomplete": "The security code is incomplete",
    "name_invalid": "Write the name as on the card, 255 letters at most",
    "consent_missing": "Agree to the payment terms to continue",
    "choice_missing": "Choose a card",
    "card_gone": "This card was removed. Choose another one",
    "plan_missing": "Choose how to pay",
    "plan_unavailable": "That way to pay is not available for this card. Choose again",
    "plan_now_offered": "This card offers instalments. Choose how to pay, then press Pay again",
    "promo_changed": "The amount has changed because of a card promotion. Check it, then press Pay again",
    "form_stale": "This page has been open for long. Type the security code again, then press Pay",
    "already_sent": "Your earlier payment is being processed. Wait a moment, then check again",
    # cards: what the bank said
    "decline_declined": "Your bank declined this card",
    "decline_declined_next": "Nothing was charged. Try another card or contact your bank.",
    "decline_limit": "The card limit or balance is not enough",
    "decline_limit_next": "Nothing was charged. Try another card.",
    "decline_expired": "The card has expired",
    "decline_expired_next": "Nothing was charged. Check the expiry date, or try another card.",
    "decline_number": "The bank does not know this card number",
    "decline_number_next": "Nothing was charged. Check the digits, or try another card.",
    "decline_cvv": "The security code does not match",
    "decline_cvv_next": "Nothing was charged. Type the security code again, or try another card.",
    "decline_verification": "Bank verification did not succeed",
    "decline_verification_next": "Nothing was charged. Try again, or use another card.",
    "decline_verification_timeout": "Verification ran out of time",
    "decline_verification_timeout_next": "Nothing was charged. Try again, or use another card.",
    "decline_verification_cancelled": "Bank verification was cancelled",
    "decline_verification_cancelled_next": "Nothing was charged. Try again, or use another card.",
    "decline_unusable": "This card cannot be used",
    "decline_unusable_next": "Nothing was charged. Try another card.",
    "decline_not_accepted": "The payment could not be accepted",
    "decline_not_accepted_next": "Nothing was charged. Try another way to pay.",
    "decline_not_processed": "The bank could not process this payment",
    "decline_not_processed_next": "Nothing was charged. Try again later, or try another card.",
    "decline_bank_silent": "The bank has not answered",
    "decline_bank_silent_next": "Do not pay again yet; we are checking.",
    "card_attempts_left": "{count} attempts left.",
    "card_attempts_left_one": "1 attempt left.",
    "card_attempts_used": "That was {count} attempts. No card was charged. Choose another way to pay at {shop}.",
    "card_failed_text": "Nothing was charged. Choose another way to pay at {shop}.",
    "held_title": "Payment approved",
    "held_text": "The bank holds this amount on your card. {shop} charges it when the order is processed.",
    "installments_of": "{tenor} instalments of {monthly}",
    # 3-D Secure
    "verify_title": "Verification by your bank",
    "verify_keep": "Keep this page open",
    "verify_frame": "Your bank's verification page",
    "verify_open": "Open the bank's page",
    "verify_done": "Verification finished",
    "verify_done_text": "We are taking you to the result of your payment.",
    # wallet for partners: set a PIN
    "sms_inbox": "SMS inbox",
    "demo_account_pin": "Demo account PIN:",
    "form_old": "This page has been open for long",
    "form_old_next": "Type your PIN again, then go on.",
    "link_gone": "This link is not valid",
    "link_gone_text": "It may have been replaced by a newer one, or its address is incomplete. Go back to the app that opened it and start again there.",
    "step_of": "Step {step} of {steps}",
    "create_pin": "Create a PIN",
    "create_pin_text": "Six digits that approve every payment. Avoid birthdays and sequences like 123456.",
    "for_number": "For",
    "new_pin": "New PIN, 6 digits",
    "repeat_pin": "Repeat PIN",
    "save_pin": "Save PIN",
    "pin_weak": "This PIN is easy to guess. Avoid sequences and repetitions.",
    "pins_differ": "The two PINs differ. Type both again.",
    "repeat_missing": "Type the PIN once more here. Type both again.",
    "doku_id": "DOKU ID",
    "pin_done": "PIN created",
    "pin_done_text": "Your wallet is ready. Continue at {partner}.",
    "pin_late": "Time to create a PIN is over",
    "pin_late_text": "No wallet was opened. Register once more at {partner} to get a new code.",
    "phone_taken": "This number has a wallet already",
    "phone_taken_text": "No new wallet was opened. Go back to {partner} and connect the wallet you have.",
    # wallet for partners: consent
    "bind_title": "Connect to {partner}?",
    "bind_who": "Sign in with your wallet's mobile number and PIN.",
    "bind_grants": "What {partner} can do",
    "grant_see": "See your wallet's balance and history",
    "grant_ask": "Ask for payments",
    "grant_ask_pin": "You still enter your PIN on the payment page",
    "grant_send": "Hold balance and send it to a bank account",
    "grant_send_how": "When you ask for it at {partner}, without a PIN",
    "grant_not": "Cannot see or change your PIN",
    "bind_go": "Connect",
    "bind_end": "You can disconnect at any time at {partner}.",
    "pin_wrong": "Wrong PIN",
    "pin_left": "{count} attempts left, then the PIN is blocked for 30 minutes.",
    "pin_left_one": "1 attempt left, then the PIN is blocked for 30 minutes.",
    "pin_wrong_next": "No money has moved.",
    "bind_pin_wrong_next": "Your wallet is not connected yet.",
    "bind_wrong_login_next": "Check both, then type your PIN again. After 3 wrong ones the PIN is blocked for 30 minutes.",
    "bound": "Your wallet is connected",
    "bound_text": "{partner} has your consent. Continue there.",
    "not_bound": "Your wallet was not connected",
    "not_bound_text": "{partner} has no access to your wallet.",
    "bind_late": "Time to connect is over",
    "bind_late_text": "Your wallet was not connected. Start again at {partner}.",
    "pin_blocked": "Your PIN is blocked for now",
    "pin_blocked_text": "The PIN was wrong three times. Try again after {time}. Your wallet was not connected to {partner}, and its balance is safe.",
    "account_shut": "This account cannot be used",
    "account_shut_text": "The account is locked or closed. It was not connected to {partner}, and its balance is safe.",
    # wallet for partners: pay
    "pay_with_pin": "Enter your PIN to pay",
    "purchase_short_app": "Top up your wallet, then reload this page before {time}. No money has moved.",
    "purchase_topup_limit": "It would pass this account's monthly limit. Choose another way to pay. No money has moved.",
    "purchase_hold_blocked": "The PIN was wrong three times. Try again after {time}. No money has moved, and your balance is safe.",
    "purchase_hold_locked": "The account is locked or closed. No money has moved. Choose another way to pay, or contact help.",
    "purchase_blocked": "Your PIN is blocked for now",
    "purchase_blocked_text": "The PIN was wrong three times, so this payment was stopped and the PIN is blocked for 30 minutes. No money has moved. Your balance is safe.",
    "shop_cancelled": "Payment cancelled",
    "shop_cancelled_text": "{shop} cancelled this payment. No money has moved.",
    "money_returned": "Your money is back",
    "money_returned_text": "{shop} returned {amount} to your balance.",
    # wallet for partners: upgrade
    "upgrade_title": "Verify your account",
    "upgrade_text": "With the data of your identity card (KTP) your wallet can do more.",
    "upgrade_balance": "Hold up to {amount}",
    "upgrade_monthly": "Receive up to {amount} a month",
    "upgrade_send": "Send balance to a bank account",
    "upgrade_form_text": "Write it exactly as on your KTP.",
    "upgrade_rejected": "What you gave before did not match",
    "upgrade_rejected_next": "Check it against your KTP, then send it again.",
    "upgrade_try_later_next": "Wait a few minutes, then try again.",
    "upgrade_session_over_next": "Sign in again to go on. Nothing was sent.",
    "nik": "NIK, 16 digits",
    "ktp_name": "Full name",
    "birth_place": "Place of birth",
    "birth_date": "Date of birth",
    "ktp_address": "Address",
    "nik_missing": "Enter your NIK",
    "nik_invalid": "The NIK is 16 digits",
    "name_missing": "Enter your full name",
    "birth_place_missing": "Enter your place of birth",
    "birth_place_invalid": "Write the place of birth, 100 letters at most",
    "birth_date_missing": "Enter your date of birth",
    "birth_date_invalid": "The date of birth is not right. Write it like 17/08/1995",
    "address_missing": "Enter your address",
    "address_invalid": "Write the address, 300 letters at most",
    "upgrade_go": "Send",
    "upgrade_kept": "Your data is kept encrypted and not given to shops.",
    "upgraded": "Your account is verified",
    "upgraded_text": "Its limits are higher now, and you can send balance to a bank account. You may close this page.",
    "upgrade_waits": "Your data is being checked",
    "upgrade_waits_text": "Until that is done you can use your wallet as before. You may close this page.",
    # sandbox: text messages
    "simulated": "(simulation)",
    "messages": "Messages",
    "all_numbers": "All numbers",
    "no_messages": "No messages yet. Verification codes appear here as soon as somebody registers or disconnects.",
    "new_message": "New message",
    "sms_used": "Used.",
    "sms_over": "No longer valid.",
    "sms_failed": "Not sent.",
    # errors
    "not_found_title": "Page not found",
    "not_found_text": "This address does not exist or is no longer valid. Open the payment link from the shop again.",
    "broken_title": "Something went wrong on our side",
    "broken_text": "Your payment was not processed twice. Wait a moment, then try again.",
    "replaced_title": "This payment page was replaced",
    "replaced_text": "Open the newest link from {shop}.",
    "replaced_text_shop": "Open the newest link from the shop.",
    "try_again": "Try again",
    "request_id": "Request number",
    "request_id_why": "Mention this number if you contact help.",
}

STRINGS: dict[Lang, dict[str, str]] = {"id": ID, "en": EN}

# Help, privacy, terms: (heading, paragraphs). They describe what the software does; the operator of an installation
# adds their own name, address and rules.
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
                "PIN salah atau akun terkunci",
                (
                    "Setelah tiga kali PIN salah, akun dikunci agar orang lain tidak dapat menebaknya. Saldo Anda aman. "
                    "Penyedia dompet Anda yang dapat membuka akun itu.",
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
                "Wrong PIN or locked account",
                (
                    "After three wrong PINs the account is locked, so that nobody else can guess it. Your balance is safe. "
                    "The provider of your wallet can open the account again.",
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

_MONTHS: dict[Lang, tuple[str, ...]] = {
    "id": (
        "Januari",
        "Februari",
        "Maret",
        "April",
        "Mei",
        "Juni",
        "Juli",
        "Agustus",
        "September",
        "Oktober",
        "November",
        "Desember",
    ),
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
}


def text(lang: Lang, key: str, **values: object) -> str:
    """One string with its blanks filled in. A key that does not exist is our mistake: KeyError."""
    return STRINGS[lang][key].format_map(values)


def demo_note(note: str, lang: Lang) -> str:
    """What a demo account is for; unknown notes are shown as they are."""
    return STRINGS[lang].get(f"note_{note}", note)


def choose_language(query_value: str | None, accept_language: str | None) -> Literal["id", "en"]:
    """The language asked for in the address, else the browser's best of ours, else Indonesian."""
    for known in LANGUAGES:
        if query_value == known:
            return known
    best: tuple[float, Lang] = (0.0, "id")
    for offer in (accept_language or "").split(","):
        tag, _, parameter = offer.partition(";")
        primary = tag.strip().lower().split("-")[0]
        weight = _weight(parameter)
        # "in" is what old Android and Java still send for Indonesian
        lang: Lang | None = "id" if primary in ("id", "in") else "en" if primary == "en" else None
        if lang is not None and weight > best[0]:
            best = (weight, lang)
    return best[1]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def clock_time(dt: datetime, lang: Lang) -> str:
    """`15.20 WIB` or `15:20 WIB`, whatever zone `dt` is in."""
    local = dt.astimezone(WIB)
    return f"{local.hour:02}{'.' if lang == 'id' else ':'}{local.minute:02} WIB"


def date_time(dt: datetime, lang: Lang) -> str:
    """`19 Mei 2026, 14.33 WIB` or `19 May 2026, 14:33 WIB`."""
    local = dt.astimezone(WIB)
    return f"{local.day} {_MONTHS[lang][local.month - 1]} {local.year}, {clock_time(dt, lang)}"


def minutes_left(expires_at: datetime, now: datetime) -> int:
    """Whole minutes until the deadline, rounded down; never negative."""
    return max(timedelta(0), expires_at - now) // timedelta(minutes=1)


def time_left(expires_at: datetime, now: datetime, lang: Lang) -> str:
    """`sisa 28 menit`, `2 h 5 min left`: what the server can say truthfully without a script that ticks."""
    minutes = minutes_left(expires_at, now)
    if minutes == 0:
        return text(lang, "moments_left")
    if minutes == 1:
        return text(lang, "minute_left")
    if minutes < 60:
        return text(lang, "minutes_left", minutes=minutes)
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        return text(lang, "days_left", days=hours // 24)
    if rest == 0:
        return text(lang, "hours_left", hours=hours)
    return text(lang, "hours_minutes_left", hours=hours, minutes=rest)
