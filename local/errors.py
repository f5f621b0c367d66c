"""The errors of the single-machine setup: one line each that names what failed and the next step.

LocalError
├── PortInUse       another program listens on a port that a service needs
├── ServiceFailed   a service ended or did not respond in time
└── RunFailed       the DAG run ended without published forecasts
"""


class LocalError(Exception):
    """Any error of the single-machine setup."""


class PortInUse(LocalError):
    """Another program listens on a port that a service needs."""


class ServiceFailed(LocalError):
    """A service ended or did not respond in time; the message names its log."""


class RunFailed(LocalError):
    """The DAG run ended without published forecasts."""
