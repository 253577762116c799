"""SNAP's response codes as data: HTTP status (3 digits), service (2), case (2), always a text of seven characters.

Source: the ASPI table; rows up to 403-12 as DOKU prints them. Braces and brackets belong to the text; `{field}` and the like are
filled in.
"""

# (HTTP status, case) → message
CASES: dict[tuple[int, str], str] = {
    (200, "00"): "Successful",
    (202, "00"): "Request In Progress",
    (400, "00"): "Bad Request",
    (400, "01"): "Invalid Field Format {{{field}}}",
    (400, "02"): "Invalid Mandatory Field {{{field}}}",
    (401, "00"): "Unauthorized. {why}",
    (401, "01"): "Invalid Token (B2B)",
    (401, "02"): "Invalid Customer Token",
    (401, "03"): "Token Not Found (B2B)",
    (401, "04"): "Customer Token Not Found",
    (403, "00"): "Transaction Expired",
    (403, "01"): "Feature Not Allowed [{why}]",
    (403, "02"): "Exceeds Transaction Amount Limit",
    (403, "03"): "Suspected Fraud",
    (403, "04"): "Activity Count Limit Exceeded",
    (403, "05"): "Do Not Honor",
    (403, "06"): "Feature Not Allowed At This Time. {why}",
    (403, "07"): "Card Blocked",
    (403, "08"): "Card Expired",
    (403, "09"): "Dormant Account",
    (403, "10"): "Need To Set Token Limit",
    (403, "11"): "OTP Blocked",
    (403, "12"): "OTP Lifetime Expired",
    (403, "13"): "OTP Sent To Cardholder",
    (403, "14"): "Insufficient Funds",
    (403, "15"): "Transaction Not Permitted. [{why}]",
    (403, "16"): "Suspend Transaction",
    (403, "17"): "Token Limit Exceeded",
    (403, "18"): "Inactive Card/Account/Customer",
    (403, "19"): "Merchant Blacklisted",
    (403, "20"): "Merchant Limit Exceed",
    (403, "21"): "Set Limit Not Allowed",
    (403, "22"): "Token Limit Invalid",
    (403, "23"): "Account Limit Exceed",
    (404, "00"): "Invalid Transaction Status",
    (404, "01"): "Transaction Not Found",
    (404, "02"): "Invalid Routing",
    (404, "03"): "Bank Not Supported By Switch",
    (404, "04"): "Transaction Cancelled",
    (404, "05"): "Merchant Is Not Registered For Card Registration Services",
    (404, "06"): "Need To Request OTP",
    (404, "07"): "Journey Not Found",
    (404, "08"): "Invalid Merchant",
    (404, "09"): "No Issuer",
    (404, "10"): "Invalid API Transition",
    (404, "11"): "Invalid Card/Account/Customer",
    (404, "12"): "Invalid Bill/Virtual Account",
    (404, "13"): "Invalid Amount",
    (404, "14"): "Paid Bill",
    (404, "15"): "Invalid OTP",
    (404, "16"): "Partner Not Found",
    (404, "17"): "Invalid Terminal",
    (404, "18"): "Inconsistent Request",
    (404, "19"): "Invalid Bill/Virtual Account",
    (405, "00"): "Requested Function Is Not Supported",
    (405, "01"): "Requested Operation Is Not Allowed",
    (409, "00"): "Conflict",
    (409, "01"): "Duplicate partnerReferenceNo",
    (429, "00"): "Too Many Requests",
    (500, "00"): "General Error",
    (500, "01"): "Internal Server Error",
    (500, "02"): "External Server Error",
    (504, "00"): "Timeout",
}

# What an unknown or ended customer token is called: 02, but one client refreshes it on 01 of qr-mpm-payment only.
CUSTOMER_TOKEN_CASE = {"50": "01"}

B2B_TOKEN = "73"  # noqa: S105 - a service code
B2B2C_TOKEN = "74"  # noqa: S105 - a service code

# Of an address that leads nowhere there is no service.
NO_SERVICE = "00"


def response_code(status: int, service_code: str, case: str) -> str:
    """`200` + `06` + `00`. HTTP status and responseCode agree, always."""
    code = f"{status}{service_code}{case}"
    assert len(code) == 7, code
    return code
