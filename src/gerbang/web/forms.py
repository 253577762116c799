"""What a buyer typed into a form."""

import re

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

# No keyboard writes them, and PostgreSQL keeps neither: a NUL, half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


async def read_form(request: Request) -> FormData:
    """The form; raises HTTPException(400) when some text of it could not be stored, or has no such encoding as it says."""
    try:
        form = await request.form()
    except UnicodeError:
        raise HTTPException(400) from None
    if any(_UNSTORABLE.search(part) for field in form.multi_items() for part in field if isinstance(part, str)):
        raise HTTPException(400)
    return form


def text(form: FormData | None, name: str) -> str:
    """One field without the blanks around it; empty when it is missing or a file."""
    value = form.get(name) if form is not None else None
    return value.strip() if isinstance(value, str) else ""
