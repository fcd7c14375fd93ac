"""Every setting: its name, default and one sentence. Read once, at start, from the environment.

A setting `listen_port` is read from `TOCSIN_LISTEN_PORT`. `docs/settings.md` is made from this file and a test
fails when it is stale. Secrets are never settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tocsin.errors import InvalidInput


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one process. Sizes are bytes unless the name says otherwise."""

    data_dir: Annotated[Path, Meta(description="Folder that holds the store, keys and certificates.")] = Path(
        "tocsin-data"
    )
    listen_host: Annotated[str, Meta(description="Address to listen on; the default is reachable from here only.")] = (
        "127.0.0.1"
    )
    listen_port: Annotated[int, Meta(description="TCP port of the https server.", ge=0, le=65535)] = 8443
    public_url: Annotated[
        str, Meta(description="Base URL that clients use, where it is not https://listen_host:listen_port.")
    ] = ""
    body_bytes_max: Annotated[
        int, Meta(description="Largest request body taken, counted before and after decompression.", ge=1024)
    ] = 10 * 1024 * 1024
    request_alerts_max: Annotated[int, Meta(description="Most alerts taken in one request.", ge=1)] = 20_000
    quota_per_minute: Annotated[
        int,
        Meta(description="Lists, and as many updates, a minute, for each application and tenant.", ge=1, le=1_000_000),
    ] = 50
    quota_get_per_minute: Annotated[
        int,
        Meta(description="Reads of single incidents a minute, for each application and tenant.", ge=1, le=1_000_000),
    ] = 100
    quota_per_hour: Annotated[
        int,
        Meta(
            description="Lists, and as many single reads, and as many updates, an hour, for each of them.",
            ge=1,
            le=1_000_000,
        ),
    ] = 1500
    retention_days: Annotated[
        int, Meta(description="Days an incident is kept after its last change, for tenants without their own.", ge=1)
    ] = 180
    superseded_minutes: Annotated[
        int, Meta(description="Minutes that replaced versions are kept for walks that began before.", ge=10)
    ] = 60
    refused_max: Annotated[int, Meta(description="Refused inputs kept per tenant; the oldest go first.", ge=1)] = (
        100_000
    )
    refused_bytes_max: Annotated[
        int, Meta(description="Bytes of refused inputs kept per tenant; the oldest go first.", ge=1024)
    ] = 256 * 1024 * 1024
    incident_alerts_max: Annotated[int, Meta(description="Alerts one incident may hold.", ge=2)] = 5_000
    token_minutes: Annotated[
        int, Meta(description="Life of an access token of the built-in issuer.", ge=1, le=1440)
    ] = 60
    ingest_queue_max: Annotated[
        int, Meta(description="Alerts that may wait for the writer; more are answered 503.", ge=100)
    ] = 50_000
    audit_checkpoint_dir: Annotated[
        str, Meta(description="Folder for signed checkpoints of the audit log; empty: `audit` in the data folder.")
    ] = ""
    audit_keep_days: Annotated[
        int, Meta(description="Days that records of the audit log are kept; 0 keeps them for ever.", ge=0, le=36_500)
    ] = 400
    trusted_proxies: Annotated[
        str,
        Meta(description="Addresses or networks of proxies whose forwarding header is believed, separated by commas."),
    ] = ""
    trusted_proxy_header: Annotated[
        Literal["x-forwarded-for", "forwarded"],
        Meta(
            description="The header that those proxies write, `x-forwarded-for` or `forwarded`; the other is ignored."
        ),
    ] = "x-forwarded-for"
    log_json: Annotated[bool, Meta(description="Write log lines as JSON instead of for reading.")] = False


def read_settings(environment: Mapping[str, str], **overrides: Any) -> Settings:
    """Make Settings of `TOCSIN_*` variables and of `overrides` that are not None, which win.

    Raises InvalidInput naming the setting.
    """
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        variable = f"TOCSIN_{field.name.upper()}"
        if overrides.get(field.name) is not None:
            values[field.name] = overrides[field.name]
        elif variable in environment:
            values[field.name] = environment[variable]
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"a setting is wrong: {error} (settings are TOCSIN_* variables, see docs/settings.md)"
        ) from None


def _path(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError
