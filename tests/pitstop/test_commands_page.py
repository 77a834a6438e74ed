"""docs/cli.md is what pitstop/commands/ says."""

from pitstop.commands_page import COMMANDS, GROUPS, PAGE, page


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m pitstop.commands_page writes it"


def test_each_command_is_in_one_group() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)


def test_each_argument_and_option_has_its_flags_and_a_sentence() -> None:
    given = [each for command in COMMANDS.values() for each in command.params]
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(given) > 100
    assert [row for row in rows if row.endswith("|  |")] == []
