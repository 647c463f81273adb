import pytest

from ostiary_core.content.guards.look_alikes import CatalogueName, finding_look_alikes
from ostiary_core.steps import run_steps

ADD = "Add two numbers and return their sum."


def found(*names: str | tuple[str, str]) -> list[str]:
    catalogue = [CatalogueName(*(each if isinstance(each, tuple) else (each, ""))) for each in names]
    return [catalogue[place].name for place in run_steps(finding_look_alikes(catalogue))]


def test_a_name_with_letters_of_another_script_is_found_before_and_after_the_other_one() -> None:
    assert found("add", "\u0430dd") == ["\u0430dd"]
    assert found("\u0430dd", "add") == ["\u0430dd"]


@pytest.mark.parametrize("name", ["Iist_files", "1ist_files", "list-files", "list_fi1es", "LIST_FILES"])
def test_a_name_that_looks_the_same_is_found(name: str) -> None:
    assert found("list_files", name) == [name]


def test_a_bare_collision_is_none() -> None:
    assert found(("add", ADD), ("add", ADD)) == []


@pytest.mark.parametrize("name", ["add2", "adds", "dad", "ald", "bdd"])
def test_a_near_name_is_found_if_it_is_described_nearly_alike(name: str) -> None:
    assert found(("add", ADD), (name, ADD + " Exactly.")) == [name]
    assert found(("add", ADD), (name, "Something else entirely, of other words.")) == []
    assert found("add", name) == []


def test_numbered_names_are_none() -> None:
    assert found(*((f"query_shard_{number}", "Query one shard of the database.") for number in range(20))) == []


def test_ordinary_names_of_a_catalogue_are_none() -> None:
    assert (
        found(
            ("get_user", "Return one user by its id."),
            ("get_users", "List all users of a group, page by page."),
            ("set_user", "Change the name or address of a user."),
            ("read_file", "Read the whole content of a file."),
            ("read_files", "Read several files at once and return them as a list."),
        )
        == []
    )


def test_ten_thousand_names_that_are_as_near_as_possible_are_compared_in_steps() -> None:
    names = [CatalogueName(f"tool{number:04}x", ADD) for number in range(5_000)]
    names += [CatalogueName("".join("\u0430a"[number >> bit & 1] for bit in range(13)), ADD) for number in range(5_000)]
    steps = finding_look_alikes(names)
    assert sum(1 for _ in steps) > 50
    assert len(run_steps(finding_look_alikes(names))) >= 4_999
