"""URLs for display: without passwords in messages, and links that are safe to render: http and https only."""

import re
from urllib.parse import quote, urlsplit

# Browsers drop tabs and line breaks inside an address: "java\nscript:" would still be a script to them.
_NOT_IN_AN_ADDRESS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]")
# What RFC 3986 lets stand in an address, and "%", which may already introduce an escape.
_STANDS = "%:/?#[]@!$&'*+,;=~-._"
_PASSWORD, _QUERY = re.compile(r"(://[^/@:\s]*):\S*@"), re.compile(r"(://[^?\s]*)\?\S*")


def web_link(address: object) -> str | None:
    """Return `address` where it is an http or https address, with unsafe characters percent-encoded; else None.

    None too for an address without a host, with a user name in it (`https://bank.example@evil.example`), or with
    whitespace or control characters.
    """
    text = address if isinstance(address, str) else ""
    if not text or _NOT_IN_AN_ADDRESS.search(text) or "\\" in text:
        return None
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # a port that is not a number raises
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return None
    return quote(text, safe=_STANDS)


def shown(text: str) -> str:
    """Return a text without the passwords and queries of URLs in it, for a message."""
    return _PASSWORD.sub(r"\1:***@", _QUERY.sub(r"\1", text))
