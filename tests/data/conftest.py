import pytest

from tests.data.tables import in_both_languages
from znatok import messages
from znatok.data.read import read_table
from znatok.errors import ZnatokError
from znatok.settings import Reading


@pytest.fixture
def english(monkeypatch):
    monkeypatch.setattr(messages, "_chosen", "en")


@pytest.fixture
def read(english, tmp_path):
    """Reads a table with this content, in English."""

    def read(content, written_in="utf-8", name="flowers.csv", **asked):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(written_in))
        return read_table(path, Reading(**asked))

    return read


@pytest.fixture
def refusal(read):
    """The messages of a refusal in English and in Russian."""

    def refusal(content, written_in="utf-8", name="flowers.csv", **asked):
        with pytest.raises(ZnatokError) as caught:
            read(content, written_in, name, **asked)
        return in_both_languages(caught.value)

    return refusal
