"""Registration, binding and their passwords on the SNAP wire, names verbatim (services 04, 06, 07, 08, 09, 81).

Answers have no responseCode and responseMessage here: the protocol puts them in front. Request fields are the seed's (S1) with the
mobile SDKs' names; answers those that the SDKs read. What is accepted and not used stands here too, so that it is described.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gerbang.channels.doku_wallet_snap.wire_money import Object, Reference
from gerbang.protocols.names import NO_CARD_NUMBER

RedirectUrl = Annotated[str, Meta(max_length=2048, extra_json_schema={"format": "uri"})]
DokuId = Annotated[str, Meta(max_length=32, description="DOKU ID, 10 digits.")]


class AccountCreationRequest(msgspec.Struct):
    """Service 06. Again for the same phone, with a new partnerReferenceNo: sends a new password, the earlier one is dead."""

    partnerReferenceNo: Reference
    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_CARD_NUMBER)]
    phoneNo: Annotated[
        str, Meta(max_length=24, description="In any written form: 08…, 62…, +62….", extra_json_schema={"format": "phone"})
    ]
    email: Annotated[str, Meta(max_length=254, extra_json_schema={"format": "email"})]
    redirectUrl: Annotated[RedirectUrl, Meta(description="Where the customer goes when the PIN is set.")]
    additionalInfo: Any = None


class AccountCreationResponse(msgspec.Struct):
    """The password is on its way; both references go into Verify OTP."""

    referenceNo: str
    partnerReferenceNo: str


class VerifyOtpRequest(msgspec.Struct):
    """Service 04, of an account creation or an unbinding."""

    originalPartnerReferenceNo: Reference
    originalReferenceNo: Reference
    otp: Annotated[str, Meta(min_length=1, max_length=16, description="Six digits.")]
    additionalInfo: Any = None


class PageQuery(msgspec.Struct):
    """How clients open qparamsURL: `?token=` or `?action=`, the same value."""

    token: str
    action: str


class VerifyOtpResponse(msgspec.Struct, omit_defaults=True, kw_only=True):
    """With qparamsURL and qparams after an account creation, where the customer sets a PIN; without them after an unbinding."""

    originalPartnerReferenceNo: str
    originalReferenceNo: str
    email: str | None = None
    phoneNo: str
    sendOtpFlag: Annotated[str, Meta(description="Always `NO`.")]
    qparamsURL: str | None = None
    qparams: PageQuery | None = None
    additionalInfo: Object


class RequestOtpRequest(msgspec.Struct):
    """Service 81: a new password for an account creation or an unbinding that waits for one."""

    partnerReferenceNo: Reference
    originalPartnerReferenceNo: Reference
    originalReferenceNo: Reference
    additionalInfo: Any = None


class RequestOtpResponse(msgspec.Struct):
    """It is on its way. referenceNo is that of the original call."""

    referenceNo: str
    partnerReferenceNo: str
    additionalInfo: Object


class SuccessParams(msgspec.Struct):
    """Whom to bind."""

    accountId: DokuId | None = None


class BindingCall(msgspec.Struct):
    """Service 07. Without successParams.accountId the page asks the customer to sign in."""

    partnerReferenceNo: Reference
    redirectUrl: Annotated[RedirectUrl, Meta(description="Where the customer goes with ?authCode=….")]
    successParams: SuccessParams | None = None
    merchantId: Any = None
    additionalInfo: Any = None


class UserInfo(msgspec.Struct):
    """How the customer is called towards this partner."""

    publicUserId: str


class BindingResponse(msgspec.Struct, omit_defaults=True, kw_only=True):
    """nextAction is the page to open. linkId and userInfo only where the call said whom to bind."""

    referenceNo: str
    partnerReferenceNo: str
    linkId: str | None = None
    nextAction: str
    redirectUrl: str
    userInfo: UserInfo | None = None


class BindingInquiryInfo(msgspec.Struct):
    """Whose binding; deviceId is echoed."""

    accountId: DokuId | None = None
    deviceId: Annotated[str, Meta(max_length=256)] | None = None


class BindingInquiryRequest(msgspec.Struct):
    """Service 08. Without additionalInfo.accountId, partnerReferenceNo is that of the binding."""

    partnerReferenceNo: Reference
    additionalInfo: BindingInquiryInfo | None = None


class BindingInfo(msgspec.Struct, omit_defaults=True):
    """A binding that stands. authCode is fresh: exchangeable once, for ten minutes."""

    linkId: str
    authCode: str
    remarks: str
    merchantId: str
    deviceId: str | None = None


class BindingInquiryResponse(msgspec.Struct):
    """The binding."""

    partnerReferenceNo: str
    additionalInfo: BindingInfo


class UnbindingRequest(msgspec.Struct, kw_only=True):
    """Service 09. linkId is mandatory unless tokenId (a customer's token, or the link again) is there."""

    partnerReferenceNo: Reference
    linkId: Annotated[str, Meta(max_length=64)] | None = None
    tokenId: Annotated[str, Meta(max_length=4096)] | None = None
    merchantId: Annotated[str, Meta(max_length=64, description="The partner's client id.")]
    additionalInfo: Any = None


class UnbindingResponse(msgspec.Struct):
    """The password is on its way. Nothing ends before Verify OTP."""

    referenceNo: str
    partnerReferenceNo: str
    merchantId: str
    linkId: str
