"""Tokens: who has one, what their files may hold, and that no message shows one."""

from pathlib import Path

import pytest

from serving_gateway.access import Tokens, administrator, require_key, token, token_lines
from serving_gateway.http import ApiError, Request
from serving_gateway.settings import Settings, SettingsError

TOKENS = Tokens([("", "s3cret-A"), ("ops", "s3cret-B")])


def request(**headers: str) -> Request:
    return Request("PUT", "/rollout", {name.replace("_", "-"): value for name, value in headers.items()}, b"")


@pytest.mark.parametrize(
    ("sent", "actor"),
    [("Bearer s3cret-A", "admin"), ("bearer s3cret-B", "admin:ops"), ("BEARER  s3cret-B ", "admin:ops")],
)
def test_the_token_says_who_changes_something(sent: str, actor: str) -> None:
    assert administrator(TOKENS, request(authorization=sent)) == actor


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "s3cret-A"},
        {"authorization": "Basic s3cret-A"},
        {"authorization": "Bearer s3cret-a"},
        {"authorization": "Bearer s3cret-A, Bearer s3cret-A"},
        {"authorization": "Bearer s3cret-\xff\udcff"},
        {"x_api_key": "s3cret-A"},
    ],
)
def test_without_the_token_nothing_is_changed(headers: dict[str, str]) -> None:
    with pytest.raises(ApiError) as caught:
        administrator(TOKENS, request(**headers))
    assert (caught.value.status, caught.value.headers) == (401, (("www-authenticate", 'Bearer realm="drift"'),))
    assert "s3cret" not in caught.value.message


def test_where_there_is_no_token_nobody_has_it() -> None:
    with pytest.raises(ApiError) as caught:
        administrator(Tokens([]), request(authorization="Bearer "))
    assert caught.value.status == 403
    assert "set ADMIN_TOKEN or ADMIN_TOKEN_FILE" in caught.value.message


@pytest.mark.parametrize("headers", [{"x_api_key": "s3cret-A"}, {"authorization": "Bearer s3cret-B"}])
def test_a_key_lets_predict(headers: dict[str, str]) -> None:
    require_key(TOKENS, request(**headers))


@pytest.mark.parametrize("headers", [{}, {"x_api_key": "other"}, {"authorization": "Bearer other"}])
def test_without_a_key_nobody_predicts_where_keys_are_asked_for(headers: dict[str, str]) -> None:
    with pytest.raises(ApiError) as caught:
        require_key(TOKENS, request(**headers))
    assert (caught.value.status, caught.value.headers) == (401, (("www-authenticate", 'Bearer realm="drift"'),))
    require_key(Tokens([]), request(**headers))


def test_a_file_of_tokens(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# who may\n\n  first-1 \nops:second+/=\n#ops:third\n")
    assert token_lines(str(file)) == (("", "first-1"), ("ops", "second+/="))
    assert token_lines("") == ()


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "two words\n", "bad name:x1\n", "ops:\n", "tök\n", "a" * 65 + ":x1"]
)
def test_a_file_that_holds_something_else_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    for variable in ("ADMIN_TOKEN_FILE", "API_KEYS_FILE"):
        with pytest.raises(SettingsError, match=f"^{variable} must be a file") as caught:
            Settings.load({variable: str(file)})
        assert text.strip() == "" or text.strip() not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "binary"):
        with pytest.raises(SettingsError, match=r"^API_KEYS_FILE must be a file that can be read"):
            Settings.load({"API_KEYS_FILE": str(path)})


def test_no_token_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("ops:s3cret-B\n")
    settings = Settings.load({"ADMIN_TOKEN": "s3cret-A", "ADMIN_TOKEN_FILE": str(file), "API_KEYS_FILE": str(file)})
    assert settings.admin_tokens == (("", "s3cret-A"), ("ops", "s3cret-B"))
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(vars(Tokens(settings.admin_tokens)))
    with pytest.raises(SettingsError) as caught:
        Settings.load({"ADMIN_TOKEN": "s3cret A"})
    assert str(caught.value) == "ADMIN_TOKEN must be letters, digits and any of -._~+/ only"
    assert token("") == ""
