"""docs/settings.md is what configs/schema.py says."""

from configs.settings_page import PAGE, page


def test_the_page_of_settings_is_what_the_schema_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m configs.settings_page writes it"


def test_each_key_has_a_sentence() -> None:
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row[0] for row in rows if not row[2].rstrip(" |").endswith(".")] == []
