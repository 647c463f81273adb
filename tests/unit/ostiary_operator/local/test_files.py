import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from timeouts import TIMEOUT_SECONDS

from ostiary_operator.local import files
from ostiary_operator.local.files import FileStamps

PERIOD = 0.02


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.yaml"
    path.write_text("one")
    return path


@asynccontextmanager
async def watch(path: Path) -> AsyncIterator[AsyncIterator[FileStamps]]:
    take = partial(files.file_stamps, [path])
    stream = files.changes(take, take(), period=PERIOD)
    yield stream
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator


def write(file: Path, text: str) -> None:
    file.write_text(text)


def write_as_editors_do(file: Path, text: str) -> None:
    file.rename(file.with_suffix(".yaml~"))
    new = file.with_suffix(".tmp")
    new.write_text(text)
    new.rename(file)


def remove(file: Path, *, folder: bool = False) -> None:
    file.unlink()
    if folder:
        file.parent.rmdir()


async def first(stream: AsyncIterator[FileStamps]) -> FileStamps:
    return await asyncio.wait_for(anext(stream), TIMEOUT_SECONDS)


async def test_an_edit_is_seen(file: Path) -> None:
    async with watch(file.parent) as seen:
        write(file, "three")
        assert [name for name, *_ in await first(seen)] == [str(file)]


async def test_an_edit_that_keeps_size_and_name_is_seen(file: Path) -> None:
    async with watch(file.parent) as seen:
        write(file, "two")
        await first(seen)


async def test_an_editor_that_renames_is_seen_once_and_never_as_a_loss(file: Path) -> None:
    async with watch(file.parent) as seen:
        write_as_editors_do(file, "two")
        assert [name for name, *_ in await first(seen)] == [str(file)]


async def test_a_created_or_removed_file_is_noticed(file: Path) -> None:
    async with watch(file.parent) as seen:
        write(file.parent / "b.yaml", "")
        assert len(await first(seen)) == 2
        remove(file)
        assert [name for name, *_ in await first(seen)] == [str(file.parent / "b.yaml")]


async def test_a_removed_folder_is_treated_as_empty(file: Path) -> None:
    async with watch(file.parent) as seen:
        remove(file, folder=True)
        assert await first(seen) == ()


async def test_what_changed_and_changed_back_is_no_change(file: Path) -> None:
    looks = [(("f", 1, 1, number),) for number in (1, 2, 1, 1, 3, 3)]
    taken = iter(looks)
    stream = files.changes(lambda: next(taken), looks[0], period=0)
    assert await first(stream) == looks[-1]


async def test_a_file_that_is_being_written_is_not_read_yet() -> None:
    looks = [(("f", 1, size, size),) for size in (1, 2, 3, 4, 4)]
    taken = iter(looks)
    stream = files.changes(lambda: next(taken), (), period=0)
    assert await first(stream) == looks[-1]
    assert next(taken, None) is None


def test_a_link_that_leads_nowhere_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "nowhere")
    assert files.file_stamps([tmp_path]) == ((str(tmp_path / "a.yaml"), 0, 0, 0),)


@pytest.mark.parametrize(
    ("neighbours", "typed", "meant"),
    [
        (["quickstart", "two-tiers"], "quikstart", "quickstart"),
        (["proxies.yaml", "notes.txt"], "proxy.yaml", "proxies.yaml"),
        (["notes.txt"], "notes.yaml", None),
        ([], "anything", None),
    ],
)
def test_the_path_that_was_probably_meant_is_named(
    neighbours: list[str], typed: str, meant: str | None, tmp_path: Path
) -> None:
    for name in neighbours:
        (tmp_path / name).touch() if "." in name else (tmp_path / name).mkdir()
    hint = f"; did you mean {tmp_path / meant}?" if meant else ""
    with pytest.raises(files.PathError) as caught:
        files.find([tmp_path / typed])
    assert str(caught.value) == f"{tmp_path / typed}: there is no such file or folder{hint}"


def test_a_missing_folder_has_no_neighbours(tmp_path: Path) -> None:
    with pytest.raises(files.PathError, match=r"no such file or folder$"):
        files.find([tmp_path / "nowhere" / "x.yaml"])
