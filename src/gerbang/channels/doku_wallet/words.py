"""Words of the wallet's page for shops."""

ID: dict[str, str] = {
    # log in
    "sign_in_to_pay": "Masuk untuk membayar",
    "attempts_left": "Sisa {count} kali mencoba, setelah itu akun terkunci.",
    "attempts_left_one": "Sisa 1 kali mencoba, setelah itu akun terkunci.",
    "check_both": "Periksa keduanya, lalu ketik ulang PIN.",
    "account_locked": "Akun ini terkunci",
    "account_locked_next": "Saldonya aman. Masuk dengan akun lain, atau hubungi bantuan. Belum ada uang yang berpindah.",
    # confirm
    "check_and_pay": "Periksa lalu bayar",
    "short_app": "Isi saldo di aplikasi dompet Anda, lalu masuk lagi di sini sebelum {time}. Belum ada uang yang berpindah.",
    "other_account": "Masuk dengan akun lain",
}

EN: dict[str, str] = {
    # log in
    "sign_in_to_pay": "Sign in to pay",
    "attempts_left": "{count} attempts left, then the account is locked.",
    "attempts_left_one": "1 attempt left, then the account is locked.",
    "check_both": "Check both, then type your PIN again.",
    "account_locked": "This account is locked",
    "account_locked_next": "Its balance is safe. Sign in with another account, or contact help. No money has moved.",
    # confirm
    "check_and_pay": "Check and pay",
    "short_app": "Top up in your wallet app, then sign in here again before {time}. No money has moved.",
    "other_account": "Use another account",
}
