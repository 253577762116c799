"""Help, privacy and terms: the pages every footer leads to."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gerbang.ids import new_id
from gerbang.web.i18n import choose_language
from gerbang.web.pages import page_response
from gerbang.web.views import Shell
from gerbang.web.wiring import Wiring

TOPICS = ("help", "privacy", "terms")


def info_pages(wiring: Wiring) -> list[BaseRoute]:
    """The routes."""

    async def show(request: Request) -> Response:
        topic = request.url.path.strip("/")
        lang = choose_language(request.query_params.get("lang"), request.headers.get("accept-language"))
        shell = Shell(lang, wiring.settings.is_sandbox, "", "", request.url.path, new_id("req"))
        return page_response(wiring.pages.render("info.html", lang=lang, shell=shell, topic=topic), frame_ancestors="'none'")

    return [Route(f"/{topic}", show) for topic in TOPICS]
