"""From a judged forecast to what people and programs read: files, charts, a report, a table in the terminal.

Everything here is a function of what it is given: no clock, no database, no network.
"""
