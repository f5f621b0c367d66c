"""Web addresses that are safe to render as links: http and https only, on one line, without credentials."""

import re
from urllib.parse import quote, urlsplit

# Browsers drop tabs and line breaks inside an address: "java\nscript:" would still be a script to them.
_NOT_IN_AN_ADDRESS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]")
# What RFC 3986 lets stand in an address, and "%", which may already introduce an escape.
_STANDS = "%:/?#[]@!$&'*+,;=~-._"


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
        host, _ = parts.hostname, parts.port  # a port that is no number raises
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return None
    return quote(text, safe=_STANDS)
