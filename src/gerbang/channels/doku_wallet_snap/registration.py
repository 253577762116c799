"""Account creation, one-time passwords, binding and unbinding (services 04, 06, 07, 08, 09, 81)."""

import re

from gerbang.channels.doku_wallet_snap.money import endpoints
from gerbang.channels.doku_wallet_snap.wire_registration import (
    AccountCreationRequest,
    AccountCreationResponse,
    BindingCall,
    BindingInfo,
    BindingInquiryInfo,
    BindingInquiryRequest,
    BindingInquiryResponse,
    BindingResponse,
    PageQuery,
    RequestOtpRequest,
    RequestOtpResponse,
    UnbindingRequest,
    UnbindingResponse,
    UserInfo,
    VerifyOtpRequest,
    VerifyOtpResponse,
)
from gerbang.endpoint import Call, Declined
from gerbang.errors import Reason, Refused
from gerbang.protocols.snap.paths import b2b
from gerbang.protocols.snap.references import find_reference, point_reference
from gerbang.protocols.snap.tokens import TokenKind, find_token
from gerbang.wallet import AccountStatus, find_account, get_account, registrations
from gerbang.wallet import bindings as bindings_
from gerbang.wallet.bindings import Binding, BindingRequest, BindingState, RequestKind
from gerbang.wallet.otp import CodeOutcome
from gerbang.wallet.registrations import Registration

CREATE_PIN_PATH = "/wallet/create-pin"
BIND_PATH = "/wallet/bind"

_BINDING_SERVICE = "07"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")

_REASON = {
    CodeOutcome.WRONG: Reason.OTP_WRONG,
    CodeOutcome.BLOCKED: Reason.OTP_BLOCKED,
    CodeOutcome.EXPIRED: Reason.OTP_EXPIRED,
    CodeOutcome.USED: Reason.OTP_ALREADY_VERIFIED,
}


def create_account(call: Call, body: AccountCreationRequest) -> AccountCreationResponse:
    """Write down who wants an account and send them a password (S1-16 … S1-28)."""
    if not _EMAIL.fullmatch(body.email):
        raise Refused(Reason.FIELD_INVALID, field="email")
    registration = registrations.begin(
        call.tx,
        merchant_id=call.merchant.client_id,
        partner_reference=body.partnerReferenceNo,
        phone=body.phoneNo,
        name=body.name,
        email=body.email,
        redirect_url=body.redirectUrl,
        settings=call.settings,
        now=call.now,
    )
    point_reference(call, registration.id)
    return AccountCreationResponse(referenceNo=registration.id, partnerReferenceNo=body.partnerReferenceNo)


def verify_otp(call: Call, body: VerifyOtpRequest) -> VerifyOtpResponse | Declined:
    """Check the password that the customer entered at the partner's (S1-29 … S1-39). Wrong ones count, so they are not refused."""
    original = _original(call, body.originalPartnerReferenceNo, body.originalReferenceNo)
    if isinstance(original, Registration):
        verified = registrations.verify(call.tx, original, entered=body.otp, settings=call.settings, now=call.now)
        if verified.outcome is not CodeOutcome.RIGHT:
            return Declined(_REASON[verified.outcome])
        return VerifyOtpResponse(
            originalPartnerReferenceNo=body.originalPartnerReferenceNo,
            originalReferenceNo=body.originalReferenceNo,
            phoneNo=original.phone_as_sent,
            sendOtpFlag="NO",
            additionalInfo={},
            email=original.email,
            qparamsURL=f"{call.public_url}{CREATE_PIN_PATH}",
            qparams=PageQuery(token=verified.page_token, action=verified.page_token),
        )
    unbound = bindings_.verify_unbinding(call.tx, original, entered=body.otp, settings=call.settings, now=call.now)
    if unbound.outcome is not CodeOutcome.RIGHT:
        return Declined(_REASON[unbound.outcome])
    return VerifyOtpResponse(
        originalPartnerReferenceNo=body.originalPartnerReferenceNo,
        originalReferenceNo=body.originalReferenceNo,
        phoneNo=unbound.account.phone_as_sent,
        sendOtpFlag="NO",
        additionalInfo={},
        email=unbound.account.email,
    )


def request_otp(call: Call, body: RequestOtpRequest) -> RequestOtpResponse:
    """Send another password for what waits for one."""
    original = _original(call, body.originalPartnerReferenceNo, body.originalReferenceNo)
    if isinstance(original, Registration):
        registrations.send_again(call.tx, original, settings=call.settings, now=call.now)
    else:
        bindings_.send_again(call.tx, original, settings=call.settings, now=call.now)
    point_reference(call, original.id)
    return RequestOtpResponse(referenceNo=original.id, partnerReferenceNo=body.partnerReferenceNo, additionalInfo={})


def bind_account(call: Call, body: BindingCall) -> BindingResponse:
    """Say where the customer consents to this partner (S1-40 … S1-49)."""
    request, link = bindings_.request_binding(
        call.tx,
        merchant_id=call.merchant.client_id,
        partner_reference=body.partnerReferenceNo,
        account_id=body.successParams.accountId if body.successParams else None,
        redirect_url=body.redirectUrl,
        now=call.now,
    )
    point_reference(call, request.id)
    return BindingResponse(
        referenceNo=request.id,
        partnerReferenceNo=body.partnerReferenceNo,
        nextAction=f"{call.public_url}{BIND_PATH}/{request.id}",
        redirectUrl=body.redirectUrl,
        linkId=link.id if link else None,
        userInfo=UserInfo(link.public_user_id) if link else None,
    )


def inquire_binding(call: Call, body: BindingInquiryRequest) -> BindingInquiryResponse:
    """The binding, with a fresh auth code (S1-50 … S1-57)."""
    info = body.additionalInfo or BindingInquiryInfo()
    binding = _bound(call, info.accountId, body.partnerReferenceNo)
    if binding is None:
        raise Refused(Reason.BINDING_NOT_FOUND)
    customer = get_account(call.tx, binding.account_id)
    if customer.status is not AccountStatus.ACTIVE:
        # Its tokens are dead, so a code for new ones would promise too much.
        raise Refused(Reason.ACCOUNT_LOCKED, account_id=customer.id)
    return BindingInquiryResponse(
        partnerReferenceNo=body.partnerReferenceNo,
        additionalInfo=BindingInfo(
            linkId=binding.id,
            authCode=bindings_.new_auth_code(call.tx, binding, now=call.now),
            remarks="Account is bound",
            merchantId=call.merchant.client_id,
            deviceId=info.deviceId,
        ),
    )


def unbind_account(call: Call, body: UnbindingRequest) -> UnbindingResponse:
    """Send the customer the password with which the binding ends (S1-58 … S1-68)."""
    if not (body.linkId or body.tokenId):
        raise Refused(Reason.FIELD_MISSING, field="linkId")
    if body.merchantId != call.merchant.client_id:
        raise Refused(Reason.NOT_THIS_PARTNER)
    request = bindings_.request_unbinding(
        call.tx,
        merchant_id=call.merchant.client_id,
        partner_reference=body.partnerReferenceNo,
        link_id=body.linkId or _link_of(call, body.tokenId or ""),
        settings=call.settings,
        now=call.now,
    )
    assert request.binding_id is not None, request.id
    point_reference(call, request.id)
    return UnbindingResponse(
        referenceNo=request.id,
        partnerReferenceNo=body.partnerReferenceNo,
        merchantId=call.merchant.client_id,
        linkId=request.binding_id,
    )


def _original(call: Call, partner_reference: str, reference_no: str) -> Registration | BindingRequest:
    """What this partner started under both references; raises Refused(REFERENCE_NOT_FOUND)."""
    found = registrations.get_registration(call.tx, reference_no) or bindings_.request_by_id(call.tx, reference_no)
    if found is None or (found.merchant_id, found.partner_reference) != (call.merchant.client_id, partner_reference):
        raise Refused(Reason.REFERENCE_NOT_FOUND, reference=partner_reference)
    if isinstance(found, BindingRequest) and found.kind is not RequestKind.UNBIND:
        raise Refused(Reason.REFERENCE_NOT_FOUND, reference=partner_reference)
    return found


def _bound(call: Call, account_id: str | None, partner_reference: str) -> Binding | None:
    """This partner's active binding of the account; where none is named, the one that was asked for under this reference."""
    if account_id is not None:
        customer = find_account(call.tx, account_id)
        if customer is None:
            return None
        return bindings_.find_binding(call.tx, merchant_id=call.merchant.client_id, account_id=customer.id)
    known = find_reference(call.tx, call.merchant.client_id, _BINDING_SERVICE, partner_reference)
    request = bindings_.request_by_id(call.tx, known.subject) if known is not None else None
    if request is None or request.binding_id is None:
        return None
    binding = bindings_.get_binding(call.tx, request.binding_id)
    return binding if binding is not None and binding.state is BindingState.ACTIVE else None


def _link_of(call: Call, token_id: str) -> str:
    token = find_token(call.tx, call.merchant, TokenKind.B2B2C, token_id)
    return token.binding_id if token is not None else token_id


ENDPOINTS = (
    *endpoints(
        (b2b("registration-account-creation"),),
        "06",
        "Register a customer and send them a one-time password",
        create_account,
        AccountCreationRequest,
        AccountCreationResponse,
        creates=True,
    ),
    *endpoints(
        (b2b("otp-verification"),),
        "04",
        "Check the one-time password of a registration or an unbinding",
        verify_otp,
        VerifyOtpRequest,
        VerifyOtpResponse,
    ),
    *endpoints(
        (b2b("otp"),), "81", "Send another one-time password", request_otp, RequestOtpRequest, RequestOtpResponse, creates=True
    ),
    *endpoints(
        (b2b("registration-account-binding"),),
        _BINDING_SERVICE,
        "Ask a customer's consent on our page",
        bind_account,
        BindingCall,
        BindingResponse,
        creates=True,
    ),
    *endpoints(
        (b2b("registration-account-inquiry"),),
        "08",
        "A binding, with a fresh auth code",
        inquire_binding,
        BindingInquiryRequest,
        BindingInquiryResponse,
    ),
    *endpoints(
        (b2b("registration-account-unbinding"),),
        "09",
        "End a binding; waits for a one-time password",
        unbind_account,
        UnbindingRequest,
        UnbindingResponse,
        creates=True,
    ),
)
