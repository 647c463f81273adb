"""The command's options keep secrets to themselves."""

from ostiary_operator.doctor.diagnosis import Options


def test_a_token_is_not_in_the_repr_of_the_options() -> None:
    assert "hunter2" not in repr(Options(bearer="hunter2"))
