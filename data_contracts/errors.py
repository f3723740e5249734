"""Errors a user can cause and can mend.

LendwellError
├── SourceError         a file or folder is missing, unreadable or not what its name says
├── ContractError       a table breaks its contract
├── DeclarationError    a feature set, an experiment or a product is declared wrongly; lists every fault
├── RequestError        a score request breaks its contract, names the field
├── TrainingError       the data cannot carry the model that was asked for
├── RegistryError       no such model, no champion, a refused promotion
├── BundleError         a bundle is incomplete, changed or of an unknown version
└── ServiceError        the endpoint or the decision log cannot be reached or started

Each carries the exit code of the command line; a message names the cause and the way out. So does a
`LendwellWarning`, after which the work goes on.
"""

from __future__ import annotations


class LendwellError(Exception):
    """Base of every error that is reported to a user without a traceback."""

    exit_code = 1


class SourceError(LendwellError):
    """A file or folder is missing, unreadable or not what its name says."""

    exit_code = 2


class ContractError(LendwellError):
    """A table breaks its contract."""

    exit_code = 2


class DeclarationError(LendwellError):
    """A declaration (features, experiment, product) is wrong; the message lists every fault."""

    exit_code = 2


class RequestError(LendwellError):
    """A score request breaks its contract."""

    exit_code = 2


class TrainingError(LendwellError):
    """The data cannot carry the model that was asked for."""

    exit_code = 2


class RegistryError(LendwellError):
    """The registry has no such model, no champion, or refuses a promotion."""

    exit_code = 3


class BundleError(LendwellError):
    """A bundle is incomplete, changed or of an unknown version."""

    exit_code = 4


class ServiceError(LendwellError):
    """The endpoint or the decision log cannot be started or reached."""

    exit_code = 5


class LendwellWarning(UserWarning):
    """What a user should know and can mend, though the work goes on."""
