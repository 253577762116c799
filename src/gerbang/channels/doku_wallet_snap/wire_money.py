"""The wallet's money on the SNAP wire, names verbatim (services 11–13, 37–39, 42, 43, 54, 55, 57, 58, 64, 66, 68).

Answers have no responseCode and responseMessage here: the protocol puts them in front. Request fields are the seed's (S1) where it
lists them, bodies of answers the national standard's. What is accepted and not used stands here too, so that it is described.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gerbang.protocols.names import NO_CARD_NUMBER
from gerbang.protocols.snap.wire import Amount

Reference = Annotated[str, Meta(min_length=1, max_length=64)]
CustomerNumber = Annotated[str, Meta(max_length=32, description="Phone number in any written form, or DOKU ID.")]
Time = Annotated[str, Meta(max_length=40, description="ISO 8601 with zone.")]
Text = Annotated[str, Meta(max_length=256)]
Url = Annotated[str, Meta(max_length=2048)]
Object = dict[str, Any]


class BalanceRequest(msgspec.Struct):
    """Service 11."""

    partnerReferenceNo: Reference
    accountNo: Text | None = None
    bankCardToken: Text | None = None
    balanceTypes: list[Annotated[str, Meta(description="`Cash` or `Coins`; absent: Cash.")]] | None = None
    additionalInfo: Any = None


class AccountInfo(msgspec.Struct):
    """One kind of balance. DOKU's SDKs spell floatAmount as flatAmount: both, the same."""

    balanceType: str
    amount: Amount
    floatAmount: Amount
    flatAmount: Amount
    holdAmount: Amount
    availableBalance: Amount
    ledgerBalance: Amount
    currentMultilateralLimit: Amount
    registrationStatusCode: str
    status: str


class BalanceResponse(msgspec.Struct):
    """What the customer can spend (availableBalance, amount), and with what is reserved (ledgerBalance)."""

    referenceNo: str
    partnerReferenceNo: str
    accountNo: str
    name: str
    accountInfos: list[AccountInfo]
    additionalInfo: Object


class BankInquiryInfo(msgspec.Struct):
    """SDKs send the bank here."""

    bankCode: Annotated[str, Meta(max_length=16, description="Clearing code, e.g. 014.")] | None = None


class BankInquiryRequest(msgspec.Struct):
    """Service 42. customerNumber is mandatory, also spelt CustomerNumber; the bank in additionalInfo.bankCode or beneficiaryBankCode."""

    partnerReferenceNo: Reference
    beneficiaryAccountNumber: Annotated[str, Meta(min_length=1, max_length=34, pattern="^[0-9]+$")]
    customerNumber: CustomerNumber | None = None
    amount: Amount | None = None
    beneficiaryBankCode: Annotated[str, Meta(max_length=16)] | None = None
    additionalInfo: BankInquiryInfo | None = None


class BankInquiryResponse(msgspec.Struct, omit_defaults=True):
    """Whose account it is; referenceNo goes into the transfer."""

    referenceNo: str
    partnerReferenceNo: str
    beneficiaryAccountNumber: str
    beneficiaryAccountName: str
    beneficiaryBankCode: str
    beneficiaryBankName: str
    additionalInfo: Object
    amount: Amount | None = None


class TransferInfo(msgspec.Struct):
    """referenceNo is that of the inquiry before."""

    referenceNo: Text | None = None
    bankCode: Annotated[str, Meta(max_length=16)] | None = None
    accountId: Text | None = None


class TransferRequest(msgspec.Struct):
    """Service 43."""

    partnerReferenceNo: Reference
    customerNumber: CustomerNumber
    accountType: Annotated[str, Meta(min_length=1, max_length=32, description="Free text: SAVING, S, tabungan …")]
    beneficiaryAccountNumber: Annotated[str, Meta(min_length=1, max_length=34, pattern="^[0-9]+$")]
    beneficiaryBankCode: Annotated[str, Meta(min_length=1, max_length=16)]
    amount: Amount
    sessionId: Text | None = None
    feeType: Text | None = None
    additionalInfo: TransferInfo | None = None


class TransferResponse(msgspec.Struct, omit_defaults=True):
    """referenceNumber is the bank's, as soon as it is known."""

    referenceNo: str
    partnerReferenceNo: str
    transactionDate: str
    additionalInfo: Object
    referenceNumber: str | None = None


class TopUpInquiryRequest(msgspec.Struct):
    """Service 37."""

    partnerReferenceNo: Reference
    customerNumber: CustomerNumber
    amount: Amount | None = None
    transactionDate: Time | None = None
    additionalInfo: Any = None


class TopUpInquiryResponse(msgspec.Struct):
    """sessionId goes into the top-up. customerMonthlyInLimit is what the customer may still receive this month."""

    referenceNo: str
    partnerReferenceNo: str
    sessionId: str
    customerNumber: str
    customerName: str
    customerMonthlyInLimit: str
    minAmount: Amount
    maxAmount: Amount
    amount: Amount
    feeAmount: Amount
    feeType: str
    additionalInfo: Object


class TopUpRequest(msgspec.Struct):
    """Service 38."""

    partnerReferenceNo: Reference
    customerNumber: CustomerNumber
    amount: Amount
    sessionId: Text | None = None
    notes: Text | None = None
    customerName: Annotated[Text, Meta(pattern=NO_CARD_NUMBER)] | None = None
    feeAmount: Amount | None = None
    transactionDate: Time | None = None
    categoryId: Text | None = None
    additionalInfo: Any = None


class TopUpResponse(msgspec.Struct, omit_defaults=True):
    """Done at once."""

    referenceNo: str
    partnerReferenceNo: str
    customerNumber: str
    amount: Amount
    referenceNumber: str
    additionalInfo: Object
    sessionId: str | None = None


class TopUpStatusRequest(msgspec.Struct):
    """Service 39. At least one of the three originals."""

    serviceCode: Annotated[str, Meta(max_length=2, description="38")]
    originalPartnerReferenceNo: Reference | None = None
    originalReferenceNo: Text | None = None
    originalExternalId: Annotated[str, Meta(max_length=128)] | None = None
    additionalInfo: Any = None


class TopUpStatusResponse(msgspec.Struct):
    """What became of a top-up."""

    originalPartnerReferenceNo: str
    originalReferenceNo: str
    originalExternalId: str
    serviceCode: str
    transactionDate: str
    amount: Amount
    beneficiaryAccountNo: str
    sourceAccountNo: str
    referenceNumber: str
    latestTransactionStatus: str
    transactionStatusDesc: str
    additionalInfo: Object


class UrlParam(msgspec.Struct):
    """Where the browser goes (PAY_RETURN) or the notification (PAY_NOTIFY). isDeepLink and isDeeplink are Y, N, true or false."""

    url: Url
    type: Annotated[str, Meta(max_length=32)]
    isDeepLink: Any = None
    isDeeplink: Any = None


class PurchaseRequest(msgspec.Struct):
    """Service 54. The addresses are called urlParam or urlParams; without PAY_RETURN the page ends without a redirect."""

    partnerReferenceNo: Reference
    amount: Amount
    urlParam: list[UrlParam] | None = None
    urlParams: list[UrlParam] | None = None
    payOptionDetails: Any = None
    merchantId: Text | None = None
    subMerchantId: Text | None = None
    validUpTo: Time | None = None
    pointOfInitiation: Text | None = None
    chargeToken: Text | None = None
    additionalInfo: Any = None


class PurchaseResponse(msgspec.Struct):
    """Five keys with the protocol's two, and no sixth (decision D-20): an official library refuses more."""

    referenceNo: str
    partnerReferenceNo: str
    webRedirectUrl: str


class PurchaseStatusRequest(msgspec.Struct):
    """Service 55. serviceCode is 17 in the seed, 54 by the standard; absent is 17. transactionDate is never compared."""

    originalPartnerReferenceNo: Reference
    serviceCode: Annotated[str, Meta(max_length=2)] | None = None
    transactionDate: Time | None = None
    originalReferenceNo: Text | None = None
    originalExternalId: Annotated[str, Meta(max_length=128)] | None = None
    merchantId: Text | None = None
    subMerchantId: Text | None = None
    amount: Amount | None = None
    externalStoreId: Text | None = None
    additionalInfo: Any = None


class RefundItem(msgspec.Struct):
    """One refund of a purchase. refundStatus: 00 done, 03 under way, 06 failed."""

    refundNo: str
    partnerRefundNo: str
    refundAmount: Amount
    refundStatus: str
    refundDate: str
    reason: str


class PurchaseStatusResponse(msgspec.Struct, omit_defaults=True):
    """What became of a purchase."""

    originalPartnerReferenceNo: str
    originalReferenceNo: str
    originalExternalId: str
    serviceCode: str
    latestTransactionStatus: str
    transactionStatusDesc: str
    originalResponseCode: str
    originalResponseMessage: str
    transAmount: Amount
    feeAmount: Amount
    refundHistory: list[RefundItem]
    additionalInfo: Object
    paidTime: str | None = None


class CancelRequest(msgspec.Struct):
    """Service 57. The whole amount only."""

    originalPartnerReferenceNo: Reference
    reason: Text | None = None
    originalReferenceNo: Text | None = None
    originalExternalId: Annotated[str, Meta(max_length=128)] | None = None
    amount: Amount | None = None
    merchantId: Text | None = None
    additionalInfo: Any = None


class CancelResponse(msgspec.Struct):
    """The purchase is cancelled, its money is back."""

    originalPartnerReferenceNo: str
    originalReferenceNo: str
    originalExternalId: str
    cancelTime: str
    transactionDate: str
    additionalInfo: Object


class RefundRequest(msgspec.Struct):
    """Service 58. Without refundAmount, what is left."""

    originalPartnerReferenceNo: Reference
    reason: Text
    partnerRefundNo: Reference
    refundAmount: Amount | None = None
    originalReferenceNo: Text | None = None
    originalExternalId: Annotated[str, Meta(max_length=128)] | None = None
    merchantId: Text | None = None
    additionalInfo: Any = None


class RefundResponse(msgspec.Struct):
    """The money is back in the wallet."""

    originalPartnerReferenceNo: str
    originalReferenceNo: str
    originalExternalId: str
    refundNo: str
    partnerRefundNo: str
    refundAmount: Amount
    refundTime: str


class AuthPaymentRequest(msgspec.Struct):
    """Service 64: reserve. Paths and bodies of 64, 66 and 68 are inferred."""

    partnerReferenceNo: Reference
    amount: Amount
    merchantId: Text | None = None
    validUpTo: Time | None = None
    title: Text | None = None
    additionalInfo: Any = None


class AuthPaymentResponse(msgspec.Struct):
    """Reserved; to be captured before validUpTo."""

    referenceNo: str
    partnerReferenceNo: str
    amount: Amount
    transactionDate: str
    validUpTo: str
    additionalInfo: Object


class CaptureRequest(msgspec.Struct):
    """Service 66: take what was reserved, once; a smaller amount lets the rest go."""

    originalPartnerReferenceNo: Reference
    originalReferenceNo: Text | None = None
    partnerCaptureNo: Reference | None = None
    captureAmount: Amount | None = None
    merchantId: Text | None = None
    additionalInfo: Any = None


class CaptureResponse(msgspec.Struct, omit_defaults=True):
    """Taken."""

    originalPartnerReferenceNo: str
    originalReferenceNo: str
    captureNo: str
    captureAmount: Amount
    captureTime: str
    additionalInfo: Object
    partnerCaptureNo: str | None = None


class VoidRequest(msgspec.Struct):
    """Service 68: let go of what was reserved."""

    originalPartnerReferenceNo: Reference
    originalReferenceNo: Text | None = None
    partnerVoidNo: Reference | None = None
    reason: Text | None = None
    merchantId: Text | None = None
    additionalInfo: Any = None


class VoidResponse(msgspec.Struct, omit_defaults=True):
    """Let go."""

    originalPartnerReferenceNo: str
    originalReferenceNo: str
    voidNo: str
    voidAmount: Amount
    voidTime: str
    additionalInfo: Object
    partnerVoidNo: str | None = None


class HistoryRequest(msgspec.Struct):
    """Service 12. At most a month, not before a year ago; without times, the last 30 days."""

    partnerReferenceNo: Reference
    fromDateTime: Time | None = None
    toDateTime: Time | None = None
    pageSize: Annotated[int, Meta(ge=1, le=100)] = 10
    pageNumber: Annotated[int, Meta(ge=0, le=1_000_000, description="0 is the first.")] = 0
    additionalInfo: Any = None


class Source(msgspec.Struct):
    """Where the money was."""

    source: str
    amount: Amount


class HistoryItem(msgspec.Struct):
    """One thing that happened to the balance."""

    dateTime: str
    amount: Amount
    remark: str
    sourceOfFunds: list[Source]
    status: str
    type: str
    additionalInfo: Object


class HistoryResponse(msgspec.Struct):
    """Newest first."""

    referenceNo: str
    partnerReferenceNo: str
    detailData: list[HistoryItem]
    additionalInfo: Object


class DetailRequest(msgspec.Struct):
    """Service 13."""

    originalPartnerReferenceNo: Reference
    additionalInfo: Any = None


class DetailResponse(msgspec.Struct, omit_defaults=True):
    """cancelledTime and refundAmount only when it happened."""

    referenceNo: str
    partnerReferenceNo: str
    amount: Amount
    dateTime: str
    remark: str
    sourceOfFunds: list[Source]
    status: str
    type: str
    additionalInfo: Object
    cancelledTime: str | None = None
    refundAmount: Amount | None = None
