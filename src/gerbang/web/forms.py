"""What a buyer typed into a form."""

from starlette.datastructures import FormData


def text(form: FormData | None, name: str) -> str:
    """One field without the blanks around it; empty when it is missing or a file."""
    value = form.get(name) if form is not None else None
    # No keyboard writes a NUL, and PostgreSQL keeps none.
    return value.replace("\x00", "").strip() if isinstance(value, str) else ""
