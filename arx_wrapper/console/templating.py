"""Render a template into a page, with the headers that every page has."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from arx_wrapper.approvals.request_text import reviewers_text
from arx_wrapper.console import assets, template_values

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.responses import Response

    from arx_wrapper.console.context import Console
    from arx_wrapper.console.sessions import Session


def page(
    console: Console, template: str, session: Session | None, *, title: str, status: int = 200, **context: Any
) -> Response:
    """Return a page. `session` is the browser's; None for pages that need no sign-in."""
    from starlette.responses import HTMLResponse

    now = console.clock()
    text = (
        environment()
        .get_template(template)
        .render(
            title=title,
            style=assets.asset("console.css"),
            script=f"/static/{assets.script_version()}.js",
            session=session,
            org=console.org_id,
            now=now,
            left=lambda moment: template_values.left(moment, now),
            ago=lambda moment: template_values.ago(_moment(moment), now),
            **context,
        )
    )
    return HTMLResponse(text, status_code=status)


@cache
def environment() -> Environment:
    """Return the templates' environment: it escapes all values, and an unknown name is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("arx_wrapper.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        visible=template_values.visible,
        reviewers=reviewers_text,
        clock=template_values.clock,
        short=template_values.short,
        pretty=template_values.pretty,
        risk=lambda risk: risk.name,
    )
    made.globals.update(query=template_values.query)
    return made


def _moment(value: Any) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(value) if isinstance(value, str) else value
