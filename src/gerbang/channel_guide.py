"""What every channel takes and does, read off its wire structs and its data: for `gerbang channels` and docs/channels.md."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gerbang.channel import Channel, all_channels
from gerbang.endpoint import Endpoint
from gerbang.providers.party import MAGIC_AMOUNTS, WHAT_HAPPENS, Behaviour, Party

_PLAIN = {
    "SUCCESS": "paid",
    "FAILED": "declined",
    "EXPIRED": "not paid in time",
    "CANCELLED": "the buyer cancels",
}
_KIND = {
    "app": "the buyer's app: Pay, Cancel, and a button for every other outcome",
    "lender": "the lender's page: a plan and consent, Cancel, and a button for every other outcome",
    "cashier": "a till: type the payment code, take the money, or press a button for another outcome",
}
_OWN_PAGES = "none: the buyer pays on Gerbang's own pages"
_BOUNDS = (("minLength", "maxLength", " characters"), ("minimum", "maximum", ""), ("minItems", "maxItems", " items"))


class FieldGuide(msgspec.Struct, frozen=True):
    """A field of a request, or one of a merchant's options.

    name       the way to it; `[]` stands for each one of a list
    mandatory  "yes", "no", or "with …": when what it is part of is sent
    rule       what is checked, as far as a schema says it
    """

    name: str
    type: str
    mandatory: str
    rule: str
    description: str
    default: Any = None


class CallGuide(msgspec.Struct, frozen=True):
    """One call. `signed` is how: "headers" (Client-Id style), "body" (headers may be left out), or "SNAP"."""

    method: str
    path: str
    summary: str
    source: str
    signed: str
    service_code: str
    fields: list[FieldGuide]

    @property
    def about(self) -> str:
        """The call in a few sentences."""
        told = [self.summary]
        if self.signed == "body":
            told.append("Signed in its body; the headers may be left out")
        if self.service_code:
            told.append(f"Service code {self.service_code}")
        if self.source:
            told.append(f"Source: {self.source}")
        return ". ".join(told) + "."


class ChannelGuide(msgspec.Struct, frozen=True):
    """A payment channel: what it takes, what a tester can make it do, what a merchant may have otherwise."""

    code: str
    title: str
    service_id: str
    acquirer_id: str
    endpoints: list[str]
    calls: list[CallGuide]
    outcomes: dict[str, str]
    magic_values: dict[str, str]
    simulator: str
    options: list[FieldGuide]


def guides() -> list[ChannelGuide]:
    """Every channel there is."""
    return [guide_of(channel) for channel in all_channels().values()]


def guide_of(channel: Channel) -> ChannelGuide:
    """One channel."""
    return ChannelGuide(
        code=channel.code,
        title=channel.title,
        service_id=channel.service_id,
        acquirer_id=channel.acquirer_id,
        endpoints=[f"{one.method} {one.path}" for one in channel.endpoints],
        calls=[_call(one) for one in channel.endpoints],
        outcomes={outcome: _what_happens(channel, outcome) for outcome in channel.outcomes},
        magic_values=dict(channel.magic_values),
        simulator=_simulator(channel.party),
        options=fields_of(channel.options) if channel.options else [],
    )


def _call(endpoint: Endpoint) -> CallGuide:
    return CallGuide(
        method=endpoint.method,
        path=endpoint.path,
        summary=endpoint.summary,
        source=endpoint.source,
        signed="SNAP" if endpoint.family == "snap" else "body" if endpoint.body_signature else "headers",
        service_code=endpoint.service_code,
        fields=fields_of(endpoint.request) if endpoint.request else [],
    )


def _simulator(party: Party | None) -> str:
    if party is None:
        return _OWN_PAGES
    path = party.page_path if party.kind == "cashier" else f"{party.page_path}/{{payment id}}"
    return f"{path} – {_KIND[party.kind]}"


def _what_happens(channel: Channel, outcome: str) -> str:
    if channel.many_attempts and outcome == "FAILED":
        return "declined; the order stays open for another attempt"
    if channel.party is None:
        return _PLAIN[outcome]
    behaviour = Behaviour(outcome)
    if channel.party.kind == "cashier":  # no till pays out: its own words stand with the amounts
        for ending, one in MAGIC_AMOUNTS.items():
            if one is behaviour:
                return str(channel.magic_values.get(f"order.amount ending {ending}", WHAT_HAPPENS[behaviour]))
    return WHAT_HAPPENS[behaviour]


# -- fields


def fields_of(struct: type[msgspec.Struct]) -> list[FieldGuide]:
    """Every field of a wire struct, those of its parts after it."""
    schema = msgspec.json.schema(struct)
    return list(_walk(schema["$defs"], schema, "", "", _told_by(struct)))


def _walk(
    defs: Mapping[str, Any], schema: Mapping[str, Any], at: str, within: str, told: Mapping[str, str]
) -> Iterable[FieldGuide]:
    """`within` is the innermost part on the way here that may be left out."""
    node = _target(defs, schema)
    required = set(node.get("required", ()))
    for name, given in node.get("properties", {}).items():
        path = f"{at}.{name}" if at else name
        one, nullable = _without_null(given)
        inner = _target(defs, one)
        mandatory = "no" if name not in required or nullable else f"with {within}" if within else "yes"
        part = _part_of(defs, inner)
        yield FieldGuide(
            name=path,
            type=_type(defs, inner),
            mandatory=mandatory,
            rule=_rule(inner),
            description=given.get("description", one.get("description", told.get(name, ""))),
            default=given.get("default"),
        )
        if part is not None:
            inside, brackets = part
            yield from _walk(defs, inside, path + brackets, path if mandatory == "no" else within, {})


def _target(defs: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return defs[reference.rpartition("/")[2]] if reference else schema


def _without_null(given: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    choices = given.get("anyOf")
    if not choices:
        return given, False
    real = [one for one in choices if one.get("type") != "null"]
    if len(real) == len(choices):
        return given, False
    return (real[0] if len(real) == 1 else {"anyOf": real}), True


def _part_of(defs: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[Mapping[str, Any], str] | None:
    if node.get("properties"):
        return node, ""
    for key, brackets in (("items", "[]"), ("additionalProperties", ".*")):
        item = node.get(key)
        if isinstance(item, Mapping) and _target(defs, item).get("properties"):
            return item, brackets
    return None


def _type(defs: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return "string" if all(isinstance(one, str) for one in node["enum"]) else "value"
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_type(defs, _target(defs, one)) for one in node["anyOf"]))
    named = str(node.get("type", "any"))
    if named == "array" and isinstance(node.get("items"), Mapping):
        return f"array of {_type(defs, _target(defs, node['items']))}"
    return named


def _rule(node: Mapping[str, Any]) -> str:
    rules = []
    if "enum" in node:
        rules.append("one of " + ", ".join(str(one) for one in node["enum"]))
    for least, most, unit in _BOUNDS:
        low, high = node.get(least), node.get(most)
        if low is not None and high is not None:
            rules.append(f"{low}{unit}" if low == high else f"{low} to {high}{unit}")
        elif high is not None:
            rules.append(f"at most {high}{unit}")
        elif low is not None:
            rules.append(f"at least {low}{unit}")
    if "pattern" in node:
        rules.append(str(node["pattern"]))
    if "format" in node:
        rules.append(str(node["format"]))
    return "; ".join(rules)


_LINE = re.compile(r"^ *(\w+) {2,}(\S.*)$")


def _told_by(struct: type[msgspec.Struct]) -> dict[str, str]:
    """What the docstrings of a struct and those it grew from say of their fields: `name  text`, longer text indented below."""
    told: dict[str, str] = {}
    for kind in reversed(struct.__mro__):
        name = ""
        for line in (kind.__doc__ or "").splitlines() if issubclass(kind, msgspec.Struct) else ():
            found = _LINE.match(line)
            if found and found[1] in getattr(kind, "__struct_fields__", ()):
                name = found[1]
                told[name] = found[2].strip()
            elif name and line.strip():
                told[name] += " " + line.strip()
            else:
                name = ""
    return told


# -- docs/channels.md


def as_markdown() -> str:
    """docs/channels.md."""
    found = guides()
    lines = [
        "# Payment channels",
        "",
        "Generated by `make snapshots` from what the program checks; `gerbang channels CODE` shows the same in a terminal, `--json` for"
        " programs. How to add one: [add-a-channel.md](add-a-channel.md).",
        "",
        "Requests of the Client-Id style carry the headers Client-Id, Request-Id, Request-Timestamp and Signature; SNAP's carry those of SNAP.",
        "*Outcomes* are what `POST /sandbox/v1/payments/outcome` takes.",
        "",
        "| Channel | Code | Calls |",
        "|---|---|---|",
        *(f"| [{one.title}](#{_anchor(one)}) | `{one.code}` | {len(one.calls)} |" for one in found),
    ]
    for one in found:
        lines += ["", *_section(one)]
    return "\n".join(lines) + "\n"


def _anchor(guide: ChannelGuide) -> str:
    return guide.code.lower()


def _section(guide: ChannelGuide) -> Iterable[str]:
    yield f"## {guide.code}"
    yield ""
    yield f"{guide.title}. Service `{guide.service_id}`, acquirer `{guide.acquirer_id}`. Pretend counterparty: {_cell(guide.simulator)}."
    for call in guide.calls:
        yield ""
        yield f"### `{call.method} {call.path}`"
        yield ""
        yield call.about
        if call.fields:
            yield ""
            yield from _table(
                ("Field", "Type", "Mandatory", "Rule", "Note"),
                [(f"`{one.name}`", one.type, one.mandatory, _code(one.rule), one.description) for one in call.fields],
            )
    yield ""
    yield "### Outcomes"
    yield ""
    yield from _table(("Outcome", "What happens"), [(f"`{name}`", what) for name, what in guide.outcomes.items()])
    if guide.magic_values:
        yield ""
        yield "### Magic values"
        yield ""
        yield from _table(
            ("In the sandbox", "What happens"), [(f"`{value}`", what) for value, what in guide.magic_values.items()]
        )
    if guide.options:
        yield ""
        yield "### Merchant's options"
        yield ""
        yield from _table(
            ("Option", "Type", "Default", "Rule", "Note"),
            [(f"`{one.name}`", one.type, default_text(one), _code(one.rule), one.description) for one in guide.options],
        )


def default_text(one: FieldGuide) -> str:
    """A default as JSON; none for what has none."""
    return "" if one.default is None else msgspec.json.encode(one.default).decode()


def _code(rule: str) -> str:
    return f"`{rule}`" if re.search(r"[\\^$*_]", rule) else rule


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterable[str]:
    heads = tuple(columns)
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(_cell(cell) for cell in row) + " |"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", r"\|")
