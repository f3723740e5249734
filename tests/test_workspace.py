"""Where the model register lies: by its own URL, in the database of runs, or in the home."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_contracts.errors import RegistryError, SourceError
from workspace import Home

NOBODY = "127.0.0.1:9/db"


def test_by_default_it_is_a_file_in_the_home(tmp_path: Path) -> None:
    with Home(tmp_path / "home", tracking_uri=f"sqlite:///{tmp_path}/elsewhere.db").register() as register:
        assert register.entries() == []
    assert (tmp_path / "home" / "register.db").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="is no folder"):
        Home(tmp_path / "file").register()


@pytest.mark.parametrize(
    ("tracking_uri", "register_url"),
    [(f"postgresql://{NOBODY}", None), (None, f"postgresql://{NOBODY}"), ("sqlite:///x.db", f"postgres://{NOBODY}")],
)
def test_on_postgresql_it_lies_where_the_runs_or_its_own_url_point(
    tmp_path: Path, tracking_uri: str | None, register_url: str | None
) -> None:
    with pytest.raises(RegistryError, match=f"register at .*{NOBODY} cannot be used"):
        Home(tmp_path, tracking_uri, register_url=register_url).register()
    assert not (tmp_path / "register.db").exists()
