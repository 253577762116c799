"""What a buyer sees when a page breaks: that nothing was paid twice, and a number that the log has too."""

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from gerbang.ids import new_id
from gerbang.storage import StorageBusy
from gerbang.web.i18n import choose_language
from gerbang.web.pages import page_response
from gerbang.web.views import Shell
from gerbang.web.wiring import Wiring

log = logging.getLogger(__name__)


def broken_page(wiring: Wiring) -> Callable[[Request, Exception], Awaitable[Response]]:
    """The handler for exceptions that no page expects. The server goes on to log the exception itself."""

    async def show(request: Request, error: Exception) -> Response:
        request_id = new_id("req")
        log.error("%s %s (%s): %s", request.method, request.url.path, request_id, type(error).__name__)
        lang = choose_language(request.query_params.get("lang"), request.headers.get("accept-language"))
        shell = Shell(lang, wiring.settings.is_sandbox, "", "", request.url.path, request_id)
        html = wiring.pages.render("error.html", lang=lang, shell=shell, kind="broken")
        return page_response(html, status=503 if isinstance(error, StorageBusy) else 500, frame_ancestors="'none'")

    return show
