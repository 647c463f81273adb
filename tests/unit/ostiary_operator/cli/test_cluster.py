"""`--watch` while the API server goes and comes back."""

import pytest

from ostiary_operator.cli import cluster
from ostiary_operator.kube.errors import NotFound, Unreachable


async def test_a_lost_api_server_is_logged_once_and_so_is_its_return(capsys: pytest.CaptureFixture[str]) -> None:
    answers: list[int | Exception] = [1, Unreachable("no answer"), Unreachable("no answer"), 2, NotFound("it is gone")]

    async def look() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    looks = cluster.polls(look, command="get", seconds=0)
    assert [await anext(looks), await anext(looks)] == [1, 2]
    with pytest.raises(NotFound):
        await anext(looks)
    assert capsys.readouterr().err == (
        "ostiary get: no answer; trying again\nostiary get: the API server answers again\n"
    )
