import pytest
from hypothesis import settings

# Several test processes share few cores: a slow example is no failure.
settings.register_profile("ostiary", deadline=None)
settings.load_profile("ostiary")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the compiler says now into tests/golden, for a person to read the difference",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden", default=False))
