"""`python -m local run | start | stop | status | exec`."""

from local.cli import main

main()
