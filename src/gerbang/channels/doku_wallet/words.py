"""Words of the wallet's page for shops."""

ID: dict[str, str] = {
    # log in
    "sign_in_to_pay": "Masuk untuk membayar",
    "attempts_left": "Sisa {count} kali mencoba, setelah itu PIN diblokir 30 menit.",
    "attempts_left_one": "Sisa 1 kali mencoba, setelah itu PIN diblokir 30 menit.",
    "check_both": "Periksa keduanya, lalu ketik ulang PIN.",
    "account_locked": "Akun ini terkunci",
    "account_locked_next": "Saldonya aman. Masuk dengan akun lain, atau hubungi bantuan. Belum ada uang yang berpindah.",
    "login_blocked": "PIN diblokir sementara",
    "login_blocked_next": "PIN salah tiga kali, jadi tidak dapat dipakai selama 30 menit. Saldonya aman. Pemilik nomor ini dapat membukanya dengan kode lewat SMS, atau bayar dengan akun lain.",
    "unblock_send": "Kirim kode pembuka",
    "unblock_send_again": "Kirim ulang kode",
    "unblock_code": "Kode dari SMS",
    "unblock_code_sent": "Jika nomor ini punya akun yang PIN-nya diblokir, kodenya sedang dikirim lewat SMS. Berlaku 5 menit.",
    "unblock_code_wrong": "Kode salah atau sudah tidak berlaku",
    "unblock_pin": "Buka blokir PIN",
    # confirm
    "check_and_pay": "Periksa lalu bayar",
    "short_app": "Isi saldo di aplikasi dompet Anda, lalu masuk lagi di sini sebelum {time}. Belum ada uang yang berpindah.",
    "other_account": "Masuk dengan akun lain",
}

EN: dict[str, str] = {
    # log in
    "sign_in_to_pay": "Sign in to pay",
    "attempts_left": "{count} attempts left, then the PIN is blocked for 30 minutes.",
    "attempts_left_one": "1 attempt left, then the PIN is blocked for 30 minutes.",
    "check_both": "Check both, then type your PIN again.",
    "account_locked": "This account is locked",
    "account_locked_next": "Its balance is safe. Sign in with another account, or contact help. No money has moved.",
    "login_blocked": "The PIN is blocked for now",
    "login_blocked_next": "It was wrong three times, so it cannot be used for 30 minutes. The balance is safe. The owner of this number can unblock it with a code by SMS, or pay with another account.",
    "unblock_send": "Send an unblocking code",
    "unblock_send_again": "Send the code again",
    "unblock_code": "Code from the SMS",
    "unblock_code_sent": "If this number has an account whose PIN is blocked, a code is on its way by SMS. It is good for 5 minutes.",
    "unblock_code_wrong": "The code is wrong or no longer valid",
    "unblock_pin": "Unblock the PIN",
    # confirm
    "check_and_pay": "Check and pay",
    "short_app": "Top up in your wallet app, then sign in here again before {time}. No money has moved.",
    "other_account": "Use another account",
}
