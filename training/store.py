"""Reaching the store of runs and models: which driver, whether it answers, and its faults as one clear error."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from data_contracts.errors import LendwellError, RegistryError

MOST_TEXT = 500
_PATIENCE_SECONDS = 10.0
_WAY_OUT = (
    "Check --tracking-uri (sqlite:///FILE, postgresql://USER@HOST/NAME, or http://HOST:PORT of an MLflow server), that "
    "it runs and has room."
)


def with_driver(uri: str) -> str:
    """PostgreSQL through psycopg 3, which the lock has, unless the URL names a driver.

    Examples
    --------
    >>> with_driver("postgresql://reader@host/runs"), with_driver("sqlite:///runs.db")
    ('postgresql+psycopg://reader@host/runs', 'sqlite:///runs.db')
    """
    for scheme in ("postgresql://", "postgres://"):
        if uri.startswith(scheme):
            return "postgresql+psycopg://" + uri.removeprefix(scheme)
    return uri


def probe(uri: str) -> None:
    """Connect once: MLflow would retry for minutes before it says that a database or a server is not there."""
    if uri.startswith(("http:", "https:")):
        import httpx

        try:
            httpx.get(uri, timeout=_PATIENCE_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise RegistryError(
                f"The registry at {_place(uri)} gives no answer ({fault or type(fault).__name__}). {_WAY_OUT}"
            ) from fault
    if uri.startswith(("sqlite:", "postgresql")):
        from sqlalchemy import create_engine

        engine = create_engine(uri)
        engine.connect().close()
        engine.dispose()


@contextmanager
def reported(tracking_uri: str) -> Iterator[None]:
    """Turn faults of the store into one clear error; what MLflow will have to change one day is not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except LendwellError:
            raise
        except (MlflowException, SQLAlchemyError, ImportError) as fault:
            first_line = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
            raise RegistryError(
                f"The registry at {_place(tracking_uri)} cannot be used: {first_line[:MOST_TEXT]}. {_WAY_OUT}"
            ) from fault


def _place(uri: str) -> str:
    """A URI without the password that it may hold."""
    return uri.rsplit("@", 1)[-1]
