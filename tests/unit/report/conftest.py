import pytest
from fake_report_store import FakeStore, add_small


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def small(store: FakeStore) -> FakeStore:
    add_small(store)
    return store


@pytest.fixture
def two_seeds(small: FakeStore) -> FakeStore:
    add_small(small, seed=1)
    return small
