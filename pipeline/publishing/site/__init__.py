"""Pages over everything that is published: the newest report, each session's editions, each symbol, the track record.

They are made from the published files alone and know nothing of who serves them: `plugins/forecasts_page.py` does.
"""
