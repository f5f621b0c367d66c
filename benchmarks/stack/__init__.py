"""docker-compose.yml's stack under load: how long a daily run takes, and how much of that is not work."""
