"""What holds for every test: the same examples each time, and a cache that is nobody's."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # a process for each core: threads of torch would wait for each other's cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("charlm", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("charlm")


@pytest.fixture(scope="session", autouse=True)
def shared_cache(tmp_path_factory):
    """The user's cache folder of the whole session, so that jieba reads its dictionary once."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(folder))
        yield folder


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache folder of this test alone; it does not exist yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CHARLM_CACHE", str(folder))
    return folder
