"""Where prices come from, whether they can be believed, where they are kept."""
