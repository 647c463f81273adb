from ostiary_operator.console.pages import PAGES
from ostiary_tools.generate import console_api
from ostiary_tools.generate.console_api import PARAMETERS, model_of


def test_the_page_is_up_to_date() -> None:
    assert console_api.PAGE.read_text() == console_api.render(), "run: make generate"


def test_each_page_of_the_console_has_its_parameters_and_its_model() -> None:
    assert {page.path for page in PAGES} == PARAMETERS.keys()
    assert len({model_of(page) for page in PAGES}) == len(PAGES)
