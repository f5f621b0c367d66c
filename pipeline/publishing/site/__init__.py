"""Pages over everything that is published: the newest report, earlier sessions, each symbol's history, the live record.

They are made from the published files alone and know nothing of who serves them: `plugins/forecasts_page.py` does.
"""
