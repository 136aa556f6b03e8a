"""The login file that rclone reads."""

from stackwright.ansible.filter.backup import htpasswd


def test_a_password_is_hashed_as_htpasswd_s_does() -> None:
    # `htpasswd -nbs user password` of Apache.
    assert htpasswd("password") == "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="
