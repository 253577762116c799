"""The API description, made from the wire structs: it cannot drift from what is decoded and encoded."""

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec

from gerbang import __version__
from gerbang.endpoint import Endpoint
from gerbang.protocols.nonsnap.errors import ErrorBody
from gerbang.protocols.nonsnap.headers import NAMES
from gerbang.protocols.snap.codes import B2B2C_TOKEN, B2B_TOKEN
from gerbang.protocols.snap.errors import SnapError
from gerbang.protocols.snap.headers import NAMES as SNAP_NAMES
from gerbang.protocols.snap.headers import TOKEN_NAMES
from gerbang.sandbox.api import ControlEndpoint, ControlError

_REF = "#/components/schemas/{name}"

_HEADER_TEXT = {
    "Client-Id": "The merchant's client id.",
    "Request-Id": "Unique per request, at most 128 characters; a repeat with the same body is answered 409 with the first answer.",
    "Request-Timestamp": "UTC, ISO 8601 with Z, e.g. 2026-01-02T03:04:05Z.",
    "Signature": "`HMACSHA256=` and the base64 of the HMAC-SHA256 over Client-Id, Request-Id, Request-Timestamp, Request-Target, Digest.",
}

_SNAP_HEADER_TEXT = {
    "X-CLIENT-KEY": "The partner's client id.",
    "X-PARTNER-ID": "The partner's client id.",
    "X-TIMESTAMP": "ISO 8601 with seconds and zone, e.g. 2026-01-02T10:04:05+07:00.",
    "X-EXTERNAL-ID": "Unique in a day, 1 to 128 characters; a repeat with the same body is answered 409.",
    "X-SIGNATURE": "base64 of the HMAC-SHA512 over METHOD:path:B2B token:lower-case hex SHA-256 of the minified body:X-TIMESTAMP.",
    "Authorization": "`Bearer ` and the B2B token.",
    "Authorization-Customer": "`Bearer ` and the customer's (B2B2C) token.",
}
_TOKEN_SIGNATURE_TEXT = "base64 of the SHA256withRSA over client id|X-TIMESTAMP, with the partner's private key."  # noqa: S105


def openapi_document(endpoints: Iterable[Endpoint], control: Iterable[ControlEndpoint]) -> dict[str, Any]:
    """OpenAPI 3.1. The signed API and, marked as sandbox only, the control API."""
    signed, played = list(endpoints), list(control)
    kinds: dict[type[msgspec.Struct], None] = {ErrorBody: None, SnapError: None, ControlError: None}
    bodies = [(one.request, one.response) for one in signed] + [(one.request, one.response) for one in played]
    for kind in (kind for pair in bodies for kind in pair if kind is not None):
        kinds[kind] = None
    schemas, components = msgspec.json.schema_components(list(kinds), ref_template=_REF)
    schema_of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in sorted(signed, key=lambda endpoint: (endpoint.path, endpoint.method)):
        paths.setdefault(one.path, {})[one.method.lower()] = (_snap if one.family == "snap" else _signed)(one, schema_of)
    for each in sorted(played, key=lambda endpoint: (endpoint.path, endpoint.method)):
        paths.setdefault(each.path, {})[each.method.lower()] = _control(each, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gerbang",
            "version": __version__,
            "summary": "A payment gateway and e-wallet that speaks the DOKU API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8080", "description": "The sandbox as `gerbang serve` starts it"}],
        "tags": [
            {"name": "signed", "description": "DOKU's non-SNAP API: every request and answer is signed."},
            {"name": "snap", "description": "SNAP BI: tokens, then signed requests; HTTP status and responseCode agree."},
            {"name": "sandbox", "description": "Control API. Absent in production mode."},
        ],
        "paths": paths,
        "components": {"schemas": {name: _without_indent(schema) for name, schema in sorted(components.items())}},
    }


def _without_indent(schema: dict[str, Any]) -> dict[str, Any]:
    """Whether a docstring arrives here indented depends on the Python and the msgspec it came through."""
    described = schema.get("description")
    return schema if described is None else {**schema, "description": inspect.cleandoc(described)}


def _signed(endpoint: Endpoint, schema_of: dict[type[msgspec.Struct], Any]) -> dict[str, Any]:
    headers = [
        {
            "name": name,
            "in": "header",
            # A body that is signed by itself needs none of them.
            "required": endpoint.body_signature is None,
            "schema": {"type": "string"},
            "description": _HEADER_TEXT[name],
        }
        for name in NAMES
    ]
    error = {"description": "Refused", "content": _json(schema_of[ErrorBody])}
    responses: dict[str, Any] = {"200": {"description": "Done", "content": _json(schema_of[endpoint.response])}, "400": error}
    if endpoint.writes:
        responses["409"] = {
            "description": "The same request came before: its first answer",
            "content": _json(schema_of[endpoint.response]),
        }
    else:
        responses["404"] = error
    described: dict[str, Any] = {
        "tags": ["signed"],
        "summary": endpoint.summary,
        "parameters": [*headers, *_path_parameters(endpoint.path)],
        "responses": responses,
    }
    if endpoint.source:
        described["description"] = f"Source: {endpoint.source}."
    if endpoint.request is not None:
        described["requestBody"] = {"required": True, "content": _json(schema_of[endpoint.request])}
    return described


def _snap(endpoint: Endpoint, schema_of: dict[type[msgspec.Struct], Any]) -> dict[str, Any]:
    if endpoint.service_code in (B2B_TOKEN, B2B2C_TOKEN):
        texts = _SNAP_HEADER_TEXT | {"X-SIGNATURE": _TOKEN_SIGNATURE_TEXT}
        names: tuple[str, ...] = TOKEN_NAMES
    else:
        texts = _SNAP_HEADER_TEXT
        names = (*SNAP_NAMES, "Authorization", *(["Authorization-Customer"] if endpoint.needs_customer else []))
    code = endpoint.service_code
    done = {
        "allOf": [
            schema_of[SnapError],
            schema_of[endpoint.response],
            {"properties": {"responseCode": {"const": f"200{code}00"}, "responseMessage": {"const": "Successful"}}},
        ]
    }
    error = {"description": f"Refused: responseCode is HTTP status, {code}, case", "content": _json(schema_of[SnapError])}
    described: dict[str, Any] = {
        "tags": ["snap"],
        "summary": endpoint.summary,
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": texts[name]}
            for name in names
        ],
        "responses": {
            "200": {"description": "Done", "content": _json(done)},
            **dict.fromkeys(("400", "401", "403", "404", "409"), error),
        },
    }
    if endpoint.source:
        described["description"] = f"Source: {endpoint.source}."
    if endpoint.request is not None:
        described["requestBody"] = {"required": True, "content": _json(schema_of[endpoint.request])}
    return described


def _control(endpoint: ControlEndpoint, schema_of: dict[type[msgspec.Struct], Any]) -> dict[str, Any]:
    query = [
        {"name": name.rstrip("?"), "in": "query", "required": not name.endswith("?"), "schema": {"type": "string"}}
        for name in endpoint.query
    ]
    described: dict[str, Any] = {
        "tags": ["sandbox"],
        "summary": endpoint.summary,
        "parameters": [*query, *_path_parameters(endpoint.path)],
        "responses": {
            "200": {"description": "Done", "content": _json(schema_of[endpoint.response])},
            "4XX": {"description": "Refused", "content": _json(schema_of[ControlError])},
        },
    }
    if endpoint.request is not None:
        described["requestBody"] = {"required": True, "content": _json(schema_of[endpoint.request])}
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
