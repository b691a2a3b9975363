import pytest

from tests.unit.submission.submission_toys import filled


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("submitted"))
