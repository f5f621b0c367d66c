"""The project's own database: its tables, how it is opened, and its migrations."""
