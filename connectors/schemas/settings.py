"""How a schema registry is named and reached."""

from __future__ import annotations

import base64
import os
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..source import SourceError
from ..spelling import nearest

NAMES = {
    "username": "username",
    "password": "password",
    "token": "token",
    "basic.auth.user.info": "user_info",
    "ssl.cafile": "cafile",
    "ssl.ca.location": "cafile",
    "ssl.certfile": "certfile",
    "ssl.certificate.location": "certfile",
    "ssl.keyfile": "keyfile",
    "ssl.key.location": "keyfile",
    "ssl.password": "key_password",
    "ssl.key.password": "key_password",
}
"""The settings, and those that other clients call otherwise."""

SECRETS = {"password", "token", "user_info", "key_password"}
FILES = {"cafile", "certfile", "keyfile"}


class RegistrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks a registry, and whom a TLS connection trusts; see `registry_settings`."""

    username: str | None = None
    password: str | None = None
    token: str | None = None
    user_info: str | None = None
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    key_password: str | None = None

    def __repr__(self) -> str:
        """Return no secrets."""
        return f"RegistrySettings(username={self.username!r})"

    def authorization(self) -> str | None:
        """Return the value of the header ``Authorization``; None where there is no user."""
        if self.token is not None:
            return f"Bearer {self.token}"
        info = self.user_info
        if info is None and self.username is not None:
            info = f"{self.username}:{self.password or ''}"
        return None if info is None else f"Basic {base64.b64encode(info.encode()).decode()}"

    def tls(self) -> ssl.SSLContext:
        """Return the context of TLS connections.

        Raises
        ------
        SourceError
            A file is none of certificates or keys.

        """
        try:
            context = ssl.create_default_context(cafile=self.cafile)
            if self.certfile is not None:
                # An empty password, so that nobody is asked for one.
                context.load_cert_chain(self.certfile, self.keyfile, self.key_password or "")
        except (OSError, ValueError) as error:
            raise SourceError(
                f"[registry] ssl.cafile, ssl.certfile, ssl.keyfile: they cannot be used: {error}"
            ) from error
        return context


def registry_settings(table: Mapping[str, Any]) -> RegistrySettings:
    """Read the settings of a schema registry from a ``[registry]`` table.

    A text ``env:NAME`` is the value of an environment variable.

    Raises
    ------
    SourceError
        A setting is unknown or wrong.

    Examples
    --------
    >>> registry_settings({"username": "anna", "ssl": {"cafile": "/dev/null"}}).cafile
    '/dev/null'

    """
    given: dict[str, str] = {}
    for name, value in _flat(table):
        field = NAMES.get(name.replace("_", "."))
        if field is None:
            raise SourceError(
                f"[registry] {name}: there is no such setting{nearest(name, NAMES)}; there are "
                "username, password, token, ssl.cafile, ssl.certfile, ssl.keyfile and ssl.password"
            )
        if field in given:
            raise SourceError(f"[registry] {name}: it is set twice, under two names")
        given[field] = _value(name, field, value)
    ways = [name for name in ("token", "user_info", "username") if name in given]
    if len(ways) > 1:
        raise SourceError("[registry]: give a username and a password, or a token: one of them")
    if "password" in given and "username" not in given:
        raise SourceError("[registry] password: it needs username as well")
    if "keyfile" in given and "certfile" not in given:
        raise SourceError("[registry] ssl.keyfile: it needs ssl.certfile as well")
    return RegistrySettings(**given)


def public_registry_settings(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``[registry]`` table as it may be shown: without secrets.

    Examples
    --------
    >>> public_registry_settings({"username": "anna", "password": "12345"})
    {'username': 'anna', 'password': '***'}

    """
    return {
        name: "***"
        if NAMES.get(name.replace("_", "."), "password") in SECRETS
        and not str(value).startswith("env:")
        else value
        for name, value in _flat(table)
    }


def registry_urls(text: str) -> list[str]:
    """Read the address of a registry: one URL, or several with commas.

    Raises
    ------
    SourceError
        It is none; the message does not repeat what may be a password.

    Examples
    --------
    >>> registry_urls("http://localhost:8081/,https://other/registry")
    ['http://localhost:8081', 'https://other/registry']

    """
    urls = [url.strip().rstrip("/") for url in text.split(",")]
    for url in urls:
        try:
            parts = urllib.parse.urlsplit(url)
            good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        except ValueError:
            good = False
        if "@" in url:
            raise SourceError(
                "--schema-registry: the URL holds no user and no password: set username and "
                "password in [registry] of the configuration, for instance to "
                "'env:REGISTRY_PASSWORD'"
            )
        if not good or parts.query or parts.fragment:
            raise SourceError(
                f"--schema-registry {url!r:.200}: write http://host:8081 or https://host"
            )
    return urls


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Return each setting with its whole name: TOML takes a dotted name for a table in a table."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _value(name: str, field: str, value: Any) -> str:
    if type(value) is not str:
        raise SourceError(f"[registry] {name}: it must be a text")
    if value.startswith("env:"):
        variable = value.removeprefix("env:")
        if variable not in os.environ:
            raise SourceError(
                f"[registry] {name}: the environment variable {variable} is not set: export it"
            )
        text = os.environ[variable]
    else:
        text = value
    if "\n" in text or "\r" in text:
        raise SourceError(f"[registry] {name}: it has a line break")
    if field in FILES and not os.access(text, os.R_OK):
        raise SourceError(f"[registry] {name}: {text} is no file that can be read")
    return text
