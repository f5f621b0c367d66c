"""The escaping of `pipeline.markdown`, by the name under which publishing knows it."""

from pipeline.markdown import escape

__all__ = ["escape"]
