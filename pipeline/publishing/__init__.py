"""Publishing forecasts for people and programs: files, charts, a report, pages, tables in the terminal.

Everything here is a function of its arguments: no clock, no database, no network.
"""
