"""Opening the store: whose it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from house import Bench, HandClock, native
from tocsin.errors import StoreError
from tocsin.stores.sqlite.connection import open_writer


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_a_new_store_is_its_owners_alone_even_in_a_folder_that_others_may_enter(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Bench(tmp_path, HandClock()).ingest(native(1))
    rights = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert rights == {"tocsin.db": 0o600, "tocsin.db-wal": 0o600, "tocsin.db-shm": 0o600}


def test_rights_that_an_owner_gave_to_a_store_stay(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    open_writer(path).close()
    path.chmod(0o640)
    open_writer(path).close()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_store_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "tocsin.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened as a store"):
        open_writer(tmp_path / "tocsin.db")
