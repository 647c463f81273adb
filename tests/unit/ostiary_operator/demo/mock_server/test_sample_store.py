import pytest

from ostiary_operator.demo.mock_server.sample_store import DuplicateError, NotFoundError, Store, StoreFullError


def test_every_post_of_the_sample_data_has_an_author() -> None:
    store = Store()

    authors = {post.user_id for post in store.posts()}

    assert authors <= {user.id for user in store.users()}


def test_a_created_user_can_be_read() -> None:
    store = Store()

    user = store.add_user(name="Lynn Conway", email="lynn@example.com", role="editor", city="Ann Arbor")

    assert store.user(user.id) == user


def test_an_email_address_is_taken_whatever_its_case() -> None:
    with pytest.raises(DuplicateError, match=r"ADA@example\.com"):
        Store().add_user(name="Ada", email="ADA@example.com", role="viewer", city="")


def test_a_deleted_user_takes_its_posts_along() -> None:
    store = Store()
    written = store.posts(user_id=1)

    user, posts = store.remove_user(1)

    assert user.id == 1
    assert posts == written != []
    assert store.posts(user_id=1) == []
    with pytest.raises(NotFoundError):
        store.user(1)


def test_the_id_of_a_deleted_user_is_not_given_again() -> None:
    store = Store()
    last = store.users()[-1].id
    store.remove_user(last)

    user = store.add_user(name="New", email="new@example.com", role="viewer", city="")

    assert user.id > last


def test_no_client_can_fill_the_store_without_limit() -> None:
    store = Store(limit=11)
    store.add_user(name="Eleven", email="11@example.com", role="viewer", city="")

    with pytest.raises(StoreFullError, match="no room"):
        store.add_user(name="Twelve", email="12@example.com", role="viewer", city="")
    for number in range(3):
        store.add_post(user_id=1, title=f"{number}", body="text", tags=[])
    with pytest.raises(StoreFullError, match="no room"):
        store.add_post(user_id=1, title="one more", body="text", tags=[])


def test_posts_are_found_by_tag_in_any_case() -> None:
    store = Store()

    post = store.add_post(user_id=2, title="Nanoseconds", body="A piece of wire.", tags=["Time", "time"])

    assert post.tags == ["time"]
    assert store.posts(tag="TIME") == [post]
