"""Settings come from file and environment; what would be unsafe is refused with a sentence that says what to do."""

from pathlib import Path
import ssl
from typing import Any

import pytest

from teslafi_companion.configuration import load_settings
from teslafi_companion.settings import Settings, UnsafeSetting

SAFE: dict[str, Any] = {"database": "sqlite:///data/companion.sqlite3", "key_file": Path("keys/companion.key")}
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-0a1b2c3d-AbCdEf"
BEHIND_PROXY: dict[str, Any] = {"base_url": "https://companion.example.org", "trusted_proxies": ("10.0.0.0/24",)}

UNSAFE: list[tuple[dict[str, Any], str]] = [
    ({"base_url": "http://companion.example.org"}, "unencrypted"),
    ({"base_url": "companion.example.org"}, "isn't a URL"),
    ({"base_url": "https://companion.example.org/path", "trusted_proxies": ("10.0.0.1",)}, "no path"),
    ({"base_url": "https://companion.example.org"}, "All visitors would appear"),
    ({"listen_host": "0.0.0.0"}, "without encryption"),  # noqa: S104 - is refused
    ({"tls_certificate": Path("a.pem")}, "belong together"),
    ({"tls_certificate": Path("a.pem"), "tls_key": Path("a.key")}, "base_url starts with http"),
    (BEHIND_PROXY | {"trusted_proxies": ("0.0.0.0/0",)}, "whole internet"),
    (BEHIND_PROXY | {"trusted_proxies": ("::/0",)}, "whole internet"),
    (BEHIND_PROXY | {"trusted_proxies": ("proxy",)}, "isn't a network"),
    ({"metrics_host": "0.0.0.0"}, "loopback address"),  # noqa: S104 - is refused
    ({"database": "mysql://localhost/x"}, "must be sqlite"),
    ({"database": "sqlite://"}, "no file name"),
    ({"database": "postgresql://companion@db.example.org/companion"}, "isn't verified"),
    ({"database": "postgresql://companion@db.example.org/companion?sslmode=require"}, "require doesn't"),
    (
        {"database": "postgresql://companion@db.example.org/companion?sslmode=verify-full&sslrootcert=/nowhere"},
        "/nowhere doesn't exist",
    ),
    ({"database_authority": "x"}, "needs .sslmode=verify-full"),
    (
        {
            "database": "postgresql://companion@db.example.org/companion?sslmode=verify-full",
            "database_authority": "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n",
        },
        "isn't a certificate",
    ),
    ({"database_secret": "password-marker"}, "must be the ARN"),
    ({"database_secret": SECRET}, "password of PostgreSQL"),
    (
        {
            "database": "postgresql://companion:secret-marker@127.0.0.1/companion",
            "database_secret": SECRET,
        },
        "Remove the password",
    ),
    ({"security_contact": ("mailto:security@example.org",)}, "needs security_expires"),
    ({"security_contact": ("security@example.org",), "security_expires": "2027-06-01T00:00:00Z"}, "must be mailto"),
    ({"security_contact": ("http://example.org/",), "security_expires": "2027-06-01T00:00:00Z"}, "must be mailto"),
    (
        {"security_contact": ("mailto:a@example.org\nPolicy: x",), "security_expires": "2027-06-01T00:00:00Z"},
        "must be mailto",
    ),
    ({"security_contact": ("https://example.org/",), "security_expires": "2027-06-01T00:00:00"}, "a date such as"),
    ({"security_contact": ("https://example.org/",), "security_expires": "soon"}, "a date such as"),
    ({"security_policy": "https://example.org/policy"}, "need security_contact"),
    ({"security_expires": "2027-06-01T00:00:00Z"}, "need security_contact"),
    ({"security_policy": "http://example.org/policy"}, "https address"),
    ({"security_languages": ("en\nContact: x",)}, "isn't a language"),
    ({"base_url": "https://c.example.org", "tls_own_certificate": True}, "load balancer in front"),
    (
        BEHIND_PROXY | {"tls_own_certificate": True, "tls_certificate": Path("a.pem"), "tls_key": Path("a.key")},
        "leave tls_certificate",
    ),
    ({"trusted_proxies": ("10.0.0.0/24",), "tls_own_certificate": True}, "base_url"),
    ({"reuse_port": True}, "Only one process"),
    ({"key": "x"}, "key_provider isn't env"),
    ({"key_provider": "env"}, "is empty"),
    ({"key_provider": "aws-kms"}, "is missing"),
    (
        {
            "key_provider": "aws-kms",
            "aws_kms_key_id": "k",
            "aws_kms_region": "r",
            "aws_kms_endpoint": "http://kms.example",
        },
        "http with another machine",
    ),
    ({"key_file": Path("data/companion.key")}, "database's folder"),
    ({"key_file": Path("data/deeper/companion.key")}, "database's folder"),
    ({"smtp_host": "mail.example.org", "smtp_security": "none"}, "starttls"),
    ({"smtp_host": "localhost", "smtp_security": "none", "smtp_password": "secret-marker"}, "unencrypted"),
    ({"mail_sender": "a@example.org\r\nBcc: b@example.org"}, "isn't an email address"),
    ({"mail_sender": "jürgen@example.org"}, "isn't an email address"),
    ({"service_name": "a\r\nBcc: b"}, "one line"),
    ({"mail_sender": "nobody"}, "isn't an email address"),
    ({"totp_drift_steps": 2}, "0 or 1"),
    ({"operator_recovery_hours": 0}, "at least 1"),
    ({"oauth_redirect_uris": ("http://ha.example.org/auth",)}, "must use https"),
]


@pytest.mark.parametrize(("changes", "sentence"), UNSAFE, ids=[sentence for _, sentence in UNSAFE])
def test_what_is_unsafe_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnsafeSetting, match=sentence) as caught:
        Settings(**(SAFE | changes))
    assert "secret-marker" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        BEHIND_PROXY,
        {"base_url": "https://c.example.org", "tls_certificate": Path("c.pem"), "tls_key": Path("c.key")},
        {"database": "postgresql://companion@127.0.0.1/companion", "reuse_port": True},
        {"database": "postgresql://companion@db.example.org/companion?sslmode=verify-full"},
        {
            "database": "postgresql://companion@db.example.org/companion?sslmode=verify-full",
            "database_secret": SECRET,
        },
        BEHIND_PROXY | {"tls_own_certificate": True, "listen_host": "0.0.0.0"},  # noqa: S104 - behind a balancer
        {"smtp_host": "mail.example.org", "smtp_security": "none", "smtp_plain_allowed": True},
        {"oauth_redirect_uris": ("http://127.0.0.1:8123/auth/external/callback",)},
    ],
)
def test_what_is_safe_is_taken(changes: dict[str, Any]) -> None:
    Settings(**(SAFE | changes))


@pytest.mark.parametrize(("mode", "host"), [("verify-full", True), ("verify-ca", False)])
def test_another_machine_s_certificate_is_checked(mode: str, *, host: bool) -> None:
    settings = Settings(**(SAFE | {"database": f"postgresql://companion@db.example.org/companion?sslmode={mode}"}))
    context = settings.database_tls
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is host
    assert "sslmode" not in settings.database_url.query


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "companion.toml"
    file.write_text('smtp_host = "from-file.example"\nlisten_port = 1234\ntrusted_proxies = ["10.0.0.0/8"]\n')
    file.chmod(0o600)
    settings = load_settings(
        {
            "TESLAFI_COMPANION_SMTP_HOST": "from-env.example",
            "TESLAFI_COMPANION_OAUTH_REDIRECT_URIS": "https://a.example/x, https://b.example/y",
            "TESLAFI_COMPANION_SIGN_UP_OPEN": "no",
            "TESLAFI_COMPANION_TOTP_DRIFT_STEPS": "0",
            "PATH": "/bin",
        },
        file,
    )
    assert (settings.smtp_host, settings.listen_port) == ("from-env.example", 1234)
    assert settings.trusted_proxies == ("10.0.0.0/8",)
    assert settings.oauth_redirect_uris == ("https://a.example/x", "https://b.example/y")
    assert settings.sign_up_open is False
    assert settings.policy.totp_drift_steps == 0


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"TESLAFI_COMPANION_SMTP_HOTS": "x"}, "no setting smtp_hots"),
        ({"TESLAFI_COMPANION_LISTEN_PORT": "http"}, "listen_port isn't valid"),
        ({"TESLAFI_COMPANION_SIGN_UP_OPEN": "perhaps"}, "sign_up_open isn't valid"),
        ({"TESLAFI_COMPANION_KEY_PROVIDER": "vault"}, "one of file, env, aws-kms"),
        ({"TESLAFI_COMPANION_POLICY": "x"}, "no setting policy"),
    ],
)
def test_a_setting_that_is_not_understood_is_named(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(UnsafeSetting, match=sentence):
        load_settings(environ)


def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsafeSetting, match="Can't read"):
        load_settings({}, tmp_path / "missing.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("smtp_host = ")
    broken.chmod(0o600)
    with pytest.raises(UnsafeSetting, match="isn't valid TOML"):
        load_settings({}, broken)


def test_no_secret_is_in_the_repr() -> None:
    settings = Settings(
        smtp_password="password-marker", key_provider="env", key="key-marker", previous_key="old-marker"
    )
    assert "marker" not in repr(settings)


def test_the_database_address_names_the_asynchronous_driver() -> None:
    assert Settings(database="sqlite:///data/x.sqlite3").database_url.drivername == "sqlite+aiosqlite"
    url = Settings(database="postgresql://c@db.example/x?sslmode=verify-full").database_url
    assert (url.drivername, dict(url.query)) == ("postgresql+asyncpg", {})
