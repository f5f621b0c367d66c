"""What can go wrong on this machine, each as one line that names the thing and the next step.

LocalError
├── PortInUse       another program listens where ours should
├── ServiceFailed   a service ended, or did not answer in time
└── RunFailed       the DAG run ended without published forecasts
"""


class LocalError(Exception):
    """Whatever the one-machine set-up itself reports."""


class PortInUse(LocalError):
    """Another program listens on a port that a service of ours needs."""


class ServiceFailed(LocalError):
    """A service ended, or did not answer in time; the message names its log."""


class RunFailed(LocalError):
    """The DAG run ended, and the forecasts were not published."""
