"""Headers -> Caller, by Hasura's rules."""

from __future__ import annotations

import pytest

from automio.engine.engine import Caller
from automio.local.callers import NotACaller, caller_of


def call(secret: str | None = None, unauthorized: str | None = None, **headers: str) -> Caller:
    raw = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return caller_of(raw, secret, unauthorized)


@pytest.mark.parametrize("secret", [None, "root"])
def test_the_secret_or_none_set_makes_an_admin_who_may_ask_as_a_role(secret: str | None) -> None:
    given = {"x_hasura_admin_secret": secret} if secret else {}
    assert call(secret, **given) == Caller()
    assert call(secret, **given, x_hasura_role="admin", x_hasura_user_id="1") == Caller()
    found = call(secret, **given, x_hasura_role="user", x_hasura_user_id="1", authorization="x")
    assert found == Caller("user", session={"x-hasura-role": "user", "x-hasura-user-id": "1"})


@pytest.mark.parametrize("unauthorized", [None, "anonymous"])
def test_a_wrong_secret_is_nobody(unauthorized: str | None) -> None:
    with pytest.raises(NotACaller, match="invalid x-hasura-admin-secret/x-hasura-access-key"):
        call("root", unauthorized, x_hasura_admin_secret="toor")


def test_without_the_secret_there_is_the_unauthorized_role_or_nobody() -> None:
    with pytest.raises(NotACaller, match="required, but not found"):
        call("root", x_hasura_role="admin")
    found = call("root", "anonymous", x_hasura_role="admin", x_hasura_language="de")
    assert found == Caller("anonymous", session={"x-hasura-role": "anonymous", "x-hasura-language": "de"})
    backend = call("root", "anonymous", x_hasura_use_backend_only_permissions="true")
    assert not backend.backend


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("Yes", True), ("f", False), ("no", False)])
def test_backend_only_permissions(text: str, expected: bool) -> None:
    found = call(x_hasura_role="user", x_hasura_use_backend_only_permissions=text)
    assert (found.backend, found.session) == (expected, {"x-hasura-role": "user"})


def test_a_switch_that_is_no_boolean() -> None:
    with pytest.raises(NotACaller) as caught:
        call(x_hasura_role="user", x_hasura_use_backend_only_permissions="random")
    assert caught.value.code == "bad-request"
    assert caught.value.message == (
        'x-hasura-use-backend-only-permissions:  Not a valid boolean text. True values are ["true","t","yes","y"] and  '
        'False values are ["false","f","no","n"]. All values are case insensitive'
    )


def test_no_secret_in_the_session() -> None:
    found = call("root", x_hasura_admin_secret="root", x_hasura_access_key="root", x_hasura_role="user")
    assert "root" not in repr(found)
