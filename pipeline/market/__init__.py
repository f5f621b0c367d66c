"""The market's calendar and names: sessions, exchanges, symbols, and which calendar a symbol trades on."""
