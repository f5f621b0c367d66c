"""Addresses of MLflow: a server, or a database opened directly."""

from urllib.parse import urlsplit, urlunsplit

from sqlalchemy.engine import make_url


def address(uri: str) -> str:
    """Return `uri` without credentials, for messages and links."""
    if not is_server(uri):
        return make_url(uri).render_as_string(hide_password=True) if "://" in uri else uri
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def is_server(uri: str) -> bool:
    """Whether `uri` is an MLflow server, and not a database opened directly."""
    return uri.startswith(("http://", "https://"))
