"""Four colours of a merchant in, one readable style sheet out. Pure functions; the sheet is made once per theme.

DOKU's `override_configuration.themes` knows canvas, text, button and label. Everything else on the page is derived from
them here, and text that could not be read is moved towards black or white until it can. Canvas and button colour are
the merchant's and never change.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

_HEX = re.compile(r"#?([0-9A-Fa-f]{6})")
_FILE = re.compile(r"([0-9A-F]{6})-([0-9A-F]{6})-([0-9A-F]{6})-([0-9A-F]{6})\.css")
TEXT_CONTRAST, CONTROL_CONTRAST = 4.5, 3.0

Colour = tuple[int, int, int]

_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)

# The state colours of tokens.css that stand on the merchant's own grounds: (light set, dark set).
_STATES: dict[str, tuple[Colour, Colour]] = {
    "ok": ((0x0A, 0x66, 0x40), (0x5F, 0xD4, 0x9B)),
    "bad": ((0xAE, 0x10, 0x35), (0xFF, 0x92, 0xA6)),
}


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as `RRGGBB` in capitals. The values left out are DOKU's documented ones."""

    background: str = "F5F8FB"
    font: str = "1A1A1A"
    button: str = "E1251B"
    button_font: str = "FFFFFF"

    @property
    def name(self) -> str:
        """The file's name under `/assets/theme/`."""
        return f"{self.background}-{self.font}-{self.button}-{self.button_font}.css"

    @property
    def url(self) -> str:
        return f"/assets/theme/{self.name}"

    @property
    def integrity(self) -> str:
        """What a browser compares the file with before it uses it (subresource integrity)."""
        return integrity(self.css.encode())

    @property
    def css(self) -> str:
        return theme_css(self.background, self.font, self.button, self.button_font)

    @property
    def is_dark(self) -> bool:
        """Whether the page takes the dark set of state colours, and dark browser controls."""
        return _luminance(_surface(_colour(self.background))) < 0.18


DEFAULT = Theme()
_KEYS = {
    "background_color": "background",
    "font_color": "font",
    "button_background_color": "button",
    "button_font_color": "button_font",
}


def parse_theme(themes: Mapping[str, object]) -> tuple[Theme, tuple[str, ...]]:
    """The theme a merchant asked for, and the keys whose value is no colour, to be logged.

    Wire names of `override_configuration.themes`. A missing or empty value is the default; so is an invalid one, because
    a payment page with the wrong red is better than none (cards dossier §6).
    """
    chosen: dict[str, str] = {}
    refused = []
    for key, attribute in _KEYS.items():
        value = themes.get(key)
        if value is None or value == "":
            continue
        match = _HEX.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            refused.append(key)
        else:
            chosen[attribute] = match[1].upper()
    return Theme(**chosen), tuple(refused)


def theme_named(file_name: str) -> Theme | None:
    """The theme a file name stands for, or None when it is not one that we would have written."""
    match = _FILE.fullmatch(file_name)
    return Theme(*match.groups()) if match else None


@lru_cache(maxsize=512)
def theme_css(background: str, font: str, button: str, button_font: str) -> str:
    """The style sheet for four valid colours. Equal colours give equal bytes."""
    canvas = _colour(background)
    surface = _surface(canvas)
    grounds = (canvas, surface)
    dark = _luminance(surface) < 0.18
    text = _rescue(_colour(font), grounds)
    text_2 = _rescue(_mix(surface, text, 78), grounds)
    control = next(mixed for mixed in _towards(text, surface) if _worst(mixed, grounds) >= CONTROL_CONTRAST)
    fill = _colour(button)
    label = _rescue(_colour(button_font), (fill,))
    lines = {
        "m-canvas": _hex(canvas),
        "m-surface": _hex(surface),
        "m-text": _hex(text),
        "m-text-2": _hex(text_2),
        "m-line": _hex(_mix(surface, text, 14)),
        "m-control": _hex(control),
        "m-button": _hex(fill),
        # Away from the label, so that pointing at the button never makes it harder to read.
        "m-button-hover": _hex(_mix(fill, _WHITE if _luminance(label) < _luminance(fill) else _BLACK, 12)),
        "m-button-text": _hex(label),
        "m-button-edge": _hex(control) if _worst(fill, grounds) < CONTROL_CONTRAST else "transparent",
    }
    for state, (light_set, dark_set) in _STATES.items():
        ratio = _worst(dark_set if dark else light_set, grounds)
        lines[f"m-{state}-fill"] = "transparent" if ratio >= TEXT_CONTRAST else f"var(--{state}-soft)"
        lines[f"m-{state}-edge"] = f"var(--{state})" if ratio >= CONTROL_CONTRAST else _hex(text)
    # The sandbox bar looks the same on every theme, also where the rest of the page is dark.
    lines |= {"soga": "#8F4A0E", "soga-soft": "#FBEFDF"}
    return ":root{" + ";".join(f"--{name}:{value}" for name, value in lines.items()) + "}\n"


def integrity(content: bytes) -> str:
    """`sha384-…` as the attribute `integrity` wants it."""
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode("ascii")


def contrast(one: Colour, other: Colour) -> float:
    """WCAG 2: from 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _surface(canvas: Colour) -> Colour:
    """The sheet on the canvas: white on light ones, 8 % lighter on dark ones.

    Between them lies a narrow band of greys where neither black nor white can be read on both. There the sheet comes
    nearer to its canvas until one of the two can.
    """
    if _luminance(canvas) > 0.45:
        return _WHITE
    lighter = (_mix(canvas, _WHITE, percent) for percent in range(8, 0, -1))
    passes = (one for one in lighter if max(_worst(pole, (canvas, one)) for pole in (_BLACK, _WHITE)) >= TEXT_CONTRAST)
    return next(passes, canvas)


def _rescue(colour: Colour, grounds: tuple[Colour, ...]) -> Colour:
    """The colour itself when it can be read on every ground, else the first step towards black or white that can."""
    if _worst(colour, grounds) >= TEXT_CONTRAST:
        return colour
    worse = min(grounds, key=lambda ground: contrast(colour, ground))
    poles = sorted((_BLACK, _WHITE), key=lambda pole: contrast(pole, worse), reverse=True)
    for pole in poles:
        for percent in range(5, 101, 5):
            mixed = _mix(colour, pole, percent)
            if _worst(mixed, grounds) >= TEXT_CONTRAST:
                return mixed
    raise AssertionError(grounds)  # _surface leaves one pole that passes


def _towards(text: Colour, surface: Colour) -> Iterator[Colour]:
    for percent in range(30, 101, 2):
        yield _mix(surface, text, percent)


def _worst(colour: Colour, grounds: tuple[Colour, ...]) -> float:
    return min(contrast(colour, ground) for ground in grounds)


def _mix(base: Colour, other: Colour, percent: int) -> Colour:
    """`percent` of `other` over `base`, halves rounded up."""
    red, green, blue = ((one * (100 - percent) + two * percent + 50) // 100 for one, two in zip(base, other, strict=True))
    return red, green, blue


def _luminance(colour: Colour) -> float:
    red, green, blue = (_LINEAR[part] for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


_LINEAR = tuple(part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in range(256))


def _colour(text: str) -> Colour:
    assert len(text) == 6, text
    return int(text[:2], 16), int(text[2:4], 16), int(text[4:], 16)


def _hex(colour: Colour) -> str:
    return "#{:02X}{:02X}{:02X}".format(*colour)
