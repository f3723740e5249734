"""Names of those who answer for a model: who trained it, who approves it, who takes it back."""

from __future__ import annotations

import getpass
import unicodedata

from data_contracts.errors import LendwellError

_MOST_LETTERS = 100


def named(given: str | None, option: str) -> str:
    """A person's name as it was given, or the account that runs this process where none was.

    Parameters
    ----------
    given : str or None
    option : str
        By which it is given; the error names it.

    Raises
    ------
    LendwellError
        The name is empty, too long or no text, or there is no account to take it from.

    Examples
    --------
    >>> named(" 风险  评审 ", "--approver")
    '风险 评审'
    """
    if given is None:
        try:
            given = getpass.getuser()
        except (KeyError, OSError, ImportError):  # an account without a name, as in a container
            given = ""
    name = " ".join(given.split())
    if not name or len(name) > _MOST_LETTERS or not name.isprintable():
        raise LendwellError(f"{option} is {given!r}; give the name of a person, of at most {_MOST_LETTERS} letters.")
    return name


def same_person(one: str, other: str) -> bool:
    """Whether two names are one: capitals, width and spaces make no other person.

    Examples
    --------
    >>> same_person("Risk  Team", "risk team"), same_person("risk", "model")
    (True, False)
    """
    first, second = ("".join(unicodedata.normalize("NFKC", name).casefold().split()) for name in (one, other))
    return first == second
