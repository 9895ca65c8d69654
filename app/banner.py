"""The page of text that a start ends with: where everything is."""

import sys

from app.settings import Settings, ensure_token
from db.session import Database


def create_banner(settings: Settings, base: str, dashboard: str) -> str:
    """`base`: where the API is; `dashboard`: where that is, empty when it is not beside it."""
    database = Database(settings.resolved_database_url).url.render_as_string(hide_password=True)
    return f"""
Process Monitor
{
        f'''
  Dashboard  {dashboard}            open this in a browser'''
        if dashboard
        else ""
    }
  API        {base}            workers report here (REST), see {base}/docs
  GraphQL    {base}/graphql    open it in a browser for the explorer
  Token      {_token_lines(settings)}
  Database   {database}
  Live feed  {"Redis" if settings.redis_url else "in memory"}

Ctrl-C ends it.

"""


def _token_lines(settings: Settings) -> str:
    """Where the token is; itself only when it was made here, and for people: logs are kept."""
    if settings.token:
        return "as set in TOKEN"
    kept = f"made at first start, kept in {settings.token_file}"
    if not sys.stdout.isatty():
        return kept
    [token] = ensure_token(settings)
    return f"{token}\n             ({kept})"
