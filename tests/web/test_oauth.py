"""The issuer's endpoints answer real clients, with all their oddities, as Entra ID would."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import apsw
import httpx2
import msgspec
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from structlog.testing import capture_logs

from certified import Holder, certify
from tocsin.access import Permission
from tocsin.config import Settings
from tocsin.identity.assertions import parse_certificate
from tocsin.identity.authority import ensure_tls
from tocsin.identity.credentials import hash_secret, new_secret
from tocsin.identity.failures import FAILURES_PER_MINUTE
from tocsin.identity.issuer import Issuer
from tocsin.identity.jwt import read_claims
from tocsin.identity.lookup import Nobody
from tocsin.identity.names import ServiceNames, service_names
from tocsin.identity.people import Application, Tenant
from tocsin.identity.sign_in import SignInStore
from tocsin.identity.signing import SigningKeys, load_signing_keys
from tocsin.identity.tokens import Tokens
from tocsin.stores.sqlite.connection import open_side_writer, open_writer, transaction
from tocsin.stores.sqlite.registry import Registry
from tocsin.stores.sqlite.sign_in import SignIns
from tocsin.ticks import MINUTE, SECOND, now
from tocsin.web.oauth import BODY_BYTES_MAX, OAuthDeps, oauth_routes

Found = TypeVar("Found")
NOW: Final = 1_700_000_000 * SECOND
RESOURCE: Final = "https://api.security.microsoft.com"
STRANGER: Final = "77777777-2222-4333-8444-555555555555"
AWKWARD_SECRET: Final = "a b+c%2Bd&e=f/é"


class Client:
    """httpx2 on the application itself, without a network (Starlette's own client wants another httpx2)."""

    def __init__(self, application: Starlette) -> None:
        self._application = application

    def request(self, method: str, url: str, **options: Any) -> httpx2.Response:
        return asyncio.run(self._request(method, url, options))

    def get(self, url: str, **options: Any) -> httpx2.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx2.Response:
        return self.request("POST", url, **options)

    async def _request(self, method: str, url: str, options: dict[str, Any]) -> httpx2.Response:
        transport = httpx2.ASGITransport(self._application)
        async with httpx2.AsyncClient(transport=transport, base_url="https://tocsin.example") as client:
            return await client.request(method, url, **options)


async def _in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.ticks = NOW

    def __call__(self) -> int:
        return self.ticks


class OwnKeeper:
    """Keeps sign-ins over a connection of the test's own."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection, self.reading = connection, SignIns(connection)

    async def change(self, work: Callable[[SignInStore], Found]) -> Found:
        with transaction(self._connection):
            return work(self.reading)


class World(msgspec.Struct, frozen=True):
    client: Client
    registry: Registry
    tokens: Tokens
    keys: SigningKeys
    names: ServiceNames
    clock: Clock
    tenant: Tenant
    application: Application
    secret: str
    database: Path

    def form(self, **changes: str | None) -> dict[str, str]:
        form: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "client_id": self.application.app_id,
            "client_secret": self.secret,
            "scope": f"{RESOURCE}/.default",
            **changes,
        }
        return {name: value for name, value in form.items() if value is not None}

    def ask(self, form: dict[str, str], path: str = "oauth2/v2.0/token", **headers: str) -> httpx2.Response:
        return self.client.post(f"/{self.tenant.guid}/{path}", data=form, headers=headers)

    def add_application(self, secret: str, name: str = "other") -> Application:
        return self.registry.create_application(
            self.tenant.tenant_id, name, [Permission.READ], secret_hash=hash_secret(secret), now=NOW
        )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    return load_signing_keys(tmp_path_factory.mktemp("keys"), NOW)


@pytest.fixture
def world(tmp_path: Path, keys: SigningKeys) -> Iterator[World]:
    connection = open_writer(
        tmp_path / "tocsin.db",
    )
    registry, clock = Registry(connection), Clock()
    tenant, secret = registry.ensure_default_tenant(NOW), new_secret()
    application = registry.create_application(
        tenant.tenant_id, "SIEM", [Permission.READ], secret_hash=hash_secret(secret), now=NOW
    )
    names = service_names(Settings(public_url="https://tocsin.example"))
    tokens = Tokens(keys, names, registry, Nobody(), 60)
    issuer = Issuer(registry, Nobody(), tokens, names, OwnKeeper(connection))
    deps = OAuthDeps(issuer=issuer, directory=registry, keys=keys, names=names, clock=clock)
    client = Client(Starlette(routes=oauth_routes(deps)))
    yield World(client, registry, tokens, keys, names, clock, tenant, application, secret, tmp_path / "tocsin.db")
    connection.close()


def _refused(response: httpx2.Response, status: int, error: str, number: int) -> str:
    """Check the shape of a refusal, and give its description."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    body = response.json()
    assert body.keys() == {
        "error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id",
    }  # fmt: skip
    assert (body["error"], body["error_codes"]) == (error, [number])
    assert body["timestamp"] == "2023-11-14 22:13:20Z"
    description: str = body["error_description"]
    assert description.startswith(f"AADSTS{number}: ")
    return description


def _accepted(world: World, response: httpx2.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert world.tokens.verify(answer["access_token"], NOW).app_id == world.application.app_id
    return answer


def test_version_2_answers_numbers_and_a_token_that_works(world: World) -> None:
    response = world.ask(world.form())
    answer = _accepted(world, response)
    assert answer == {
        "token_type": "Bearer",
        "expires_in": 3599,
        "ext_expires_in": 3599,
        "access_token": answer["access_token"],
    }
    assert response.headers["cache-control"] == "no-store"
    claims = read_claims(answer["access_token"], world.keys)
    assert (claims["aud"], claims["ver"], claims["roles"]) == (RESOURCE, "2.0", ["Incident.Read.All"])


def test_version_1_adds_times_and_resource(world: World) -> None:
    form = world.form(scope=None, resource=RESOURCE)
    answer = _accepted(world, world.ask(form, "oauth2/token"))
    begins = NOW // SECOND
    assert answer == {
        "token_type": "Bearer",
        "expires_in": 3599,
        "ext_expires_in": 3599,
        "expires_on": begins + 3600,
        "not_before": begins,
        "resource": RESOURCE,
        "access_token": answer["access_token"],
    }


@pytest.mark.parametrize("path", ["oauth2/token", "oauth2/v2.0/token"])
@pytest.mark.parametrize(
    "asked",
    [
        {"scope": f"{RESOURCE}/.default"},
        {"scope": f"{RESOURCE}//.default"},
        {"scope": f"offline_access {RESOURCE}/.default"},
        {"scope": f"{RESOURCE}/.default openid profile offline_access"},
        {"scope": "https://security.microsoft.com/mtp/.default"},
        {"scope": "https://security.microsoft.com/mtp//.default"},
        {"scope": "https://api.securitycenter.microsoft.com/.default"},
        {"scope": "https://graph.microsoft.com/.default"},
        {"scope": "https://tocsin.example/.default"},
        {"scope": "https://localhost:8443/.default"},
        {"resource": "https://api.securitycenter.windows.com", "scope": None},
        {"resource": "https://graph.microsoft.com/", "scope": None},
    ],
)
def test_every_form_of_asking_for_this_resource_is_understood(
    world: World, path: str, asked: dict[str, str | None]
) -> None:
    _accepted(world, world.ask(world.form(**asked), path))


@pytest.mark.parametrize(
    ("changes", "status", "error", "number"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_secret": None}, 401, "invalid_client", 7000218),
        ({"client_secret": None, "client_assertion": "a.b.c"}, 401, "invalid_client", 700027),
        ({"client_id": STRANGER}, 400, "unauthorized_client", 700016),
        ({"client_id": "' OR 1=1 --"}, 400, "unauthorized_client", 700016),
        ({"client_id": "x" * 9000}, 400, "unauthorized_client", 700016),
        ({"client_id": None}, 400, "invalid_request", 900144),
        ({"grant_type": None}, 400, "invalid_request", 900144),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": "device_code"}, 400, "invalid_request", 900144),
        ({"grant_type": "implicit"}, 400, "unsupported_grant_type", 70003),
        ({"scope": None}, 400, "invalid_request", 900144),
        ({"scope": "https://vault.azure.net/.default"}, 400, "invalid_resource", 500011),
        ({"scope": f"{RESOURCE}.default"}, 400, "invalid_scope", 1002012),
        ({"scope": f"{RESOURCE}.evil.example/.default"}, 400, "invalid_resource", 500011),
        ({"scope": f"{RESOURCE}/Incident.Read.All"}, 400, "invalid_scope", 1002012),
        ({"scope": "offline_access openid"}, 400, "invalid_scope", 1002012),
        ({"scope": f"{RESOURCE}/.default https://graph.microsoft.com/.default"}, 400, "invalid_scope", 28000),
        ({"scope": "/.default"}, 400, "invalid_resource", 500011),
    ],
)
def test_a_wrong_request_is_refused_with_the_number_clients_read(
    world: World, changes: dict[str, str | None], status: int, error: str, number: int
) -> None:
    _accepted(world, world.ask(world.form()))
    _refused(world.ask(world.form(**changes)), status, error, number)


def test_version_1_names_the_parameter_it_lacks(world: World) -> None:
    assert "'resource'" in _refused(world.ask(world.form(scope=None), "oauth2/token"), 400, "invalid_request", 900144)


def test_a_disabled_application_gets_no_token_and_only_its_owner_is_told_why(world: World) -> None:
    world.registry.disable_application(world.tenant.tenant_id, world.application.app_id, NOW)
    _refused(world.ask(world.form()), 400, "unauthorized_client", 7000112)
    _refused(world.ask(world.form(client_secret="wrong")), 401, "invalid_client", 7000215)


def test_a_rotated_secret_works_at_once_and_the_old_one_does_not(world: World) -> None:
    world.registry.rotate_secret(world.tenant.tenant_id, world.application.app_id, hash_secret("new"))
    _accepted(world, world.ask(world.form(client_secret="new")))
    _refused(world.ask(world.form()), 401, "invalid_client", 7000215)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json", "nonsense"])
def test_the_content_type_of_the_form_does_not_matter(world: World, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    body = urlencode(world.form()).encode()
    response = world.client.post(f"/{world.tenant.guid}/oauth2/v2.0/token", content=body, headers=headers)
    _accepted(world, response)


def test_a_scope_that_is_not_percent_encoded_is_read(world: World) -> None:
    body = "&".join(f"{name}={value}" for name, value in world.form().items())
    assert "scope=https://" in body
    _accepted(world, world.client.post(f"/{world.tenant.guid}/oauth2/v2.0/token", content=body))


@pytest.mark.parametrize("authorization", ["Bearer ", "Bearer", "Bearer old.to.ken", "", "Negotiate x", "Basic x"])
def test_a_stale_authorization_beside_a_secret_in_the_body_is_ignored(world: World, authorization: str) -> None:
    _accepted(world, world.ask(world.form(), authorization=authorization))


def test_a_stale_bearer_instead_of_a_secret_is_no_secret(world: World) -> None:
    response = world.ask(world.form(client_secret=None), authorization="Bearer old.to.ken")
    _refused(response, 401, "invalid_client", 7000218)


@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize("with_id", [True, False])
def test_basic_is_read_form_encoded_and_raw(world: World, encoded: bool, with_id: bool) -> None:
    application = world.add_application(AWKWARD_SECRET)
    secret = quote(AWKWARD_SECRET, safe="") if encoded else AWKWARD_SECRET
    value = base64.b64encode(f"{application.app_id}:{secret}".encode()).decode()
    form = world.form(client_secret=None, client_id=application.app_id if with_id else None)
    response = world.ask(form, authorization=f"Basic {value}")
    assert response.status_code == 200, response.text
    wrong = base64.b64encode(f"{application.app_id}:{secret}x".encode()).decode()
    _refused(world.ask(form, authorization=f"basic {wrong}"), 401, "invalid_client", 7000215)


@pytest.mark.parametrize("value", ["", "!!!", "AAAA", base64.b64encode(b"\xff:\xff").decode()])
def test_basic_that_cannot_be_read_is_malformed(world: World, value: str) -> None:
    response = world.ask(world.form(client_secret=None), authorization=f"Basic {value}")
    _refused(response, 400, "invalid_request", 9002313)


def test_basic_for_another_application_than_client_id_is_malformed(world: World) -> None:
    value = base64.b64encode(f"{STRANGER}:x".encode()).decode()
    response = world.ask(world.form(client_secret=None), authorization=f"Basic {value}")
    _refused(response, 400, "invalid_request", 9002313)


def test_unknown_parameters_are_ignored_even_when_repeated(world: World) -> None:
    extra = "&client_info=1&claims=%7B%22access_token%22%3A%7B%7D%7D&x-client-SKU=a&x-client-SKU=b&clidata=1"
    body = urlencode(world.form()) + extra + "&response_mode=form_post&refresh_token="
    _accepted(world, world.client.post(f"/{world.tenant.guid}/oauth2/v2.0/token?api-version=1.0", content=body))


@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret", "scope"])
def test_a_known_parameter_that_stands_twice_is_malformed(world: World, name: str) -> None:
    body = urlencode([*world.form().items(), (name, world.form()[name])])
    response = world.client.post(f"/{world.tenant.guid}/oauth2/v2.0/token", content=body)
    _refused(response, 400, "invalid_request", 9002313)


@pytest.mark.parametrize("body", [b"\xff\xfe", b"scope=%ff%fe", b"a=1&" * 101, b"&" * 5000])
def test_a_body_that_is_no_form_is_malformed(world: World, body: bytes) -> None:
    response = world.client.post(f"/{world.tenant.guid}/oauth2/v2.0/token", content=body)
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_request"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"grant_type":"client_credentials"}', b"\x00", b"=" * 100])
def test_a_body_without_parameters_lacks_its_grant_type(world: World, body: bytes) -> None:
    response = world.client.post(f"/{world.tenant.guid}/oauth2/v2.0/token", content=body)
    assert "'grant_type'" in _refused(response, 400, "invalid_request", 900144)


def test_a_body_over_the_bound_is_refused_whether_its_length_is_told_or_not(world: World) -> None:
    path = f"/{world.tenant.guid}/oauth2/v2.0/token"
    fitting = urlencode(world.form()) + "&x="
    fitting += "y" * (BODY_BYTES_MAX - len(fitting))
    _accepted(world, world.client.post(path, content=fitting))
    for content in (fitting + "y", _in_pieces(b"x" * 40_000, b"x" * 40_000)):
        _refused(world.client.post(path, content=content), 413, "invalid_request", 9002313)


def test_the_tenant_may_be_a_guid_a_name_or_a_word_for_mine(world: World) -> None:
    for name in (world.tenant.guid, world.tenant.guid.upper(), "default", "Default", "organizations", "common"):
        _accepted(world, world.client.post(f"/{name}/oauth2/v2.0/token", data=world.form()))
    world.registry.create_tenant("soc.example", STRANGER, NOW)
    for name in ("organizations", "common"):
        response = world.client.post(f"/{name}/oauth2/v2.0/token", data=world.form())
        assert "several tenants" in _refused(response, 400, "invalid_request", 90002)
    response = world.client.post("/SOC.example/oauth2/v2.0/token", data=world.form())
    _refused(response, 400, "unauthorized_client", 700016)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        (STRANGER, 90002), ("other.example", 90002), ("nobody", 900023), ("a b", 900023), ("a..b", 900023),
        ("%00", 900023), ("%ED%A0%80", 900023), ("%E2%82%AC", 900023), ("x" * 3000, 900023), ("consumers", 900023),
    ],
)  # fmt: skip
def test_an_unknown_and_a_malformed_tenant_have_their_numbers_everywhere(world: World, name: str, number: int) -> None:
    _refused(world.client.post(f"/{name}/oauth2/v2.0/token", data=world.form()), 400, "invalid_request", number)
    for path in ("v2.0/.well-known/openid-configuration", ".well-known/openid-configuration", "discovery/v2.0/keys"):
        _refused(world.client.get(f"/{name}/{path}"), 400, "invalid_request", number)


@pytest.mark.parametrize("path", ["v2.0/.well-known/openid-configuration", ".well-known/openid-configuration"])
@pytest.mark.parametrize("host", ["tocsin.example", "localhost:8443", "127.0.0.1:8443"])
def test_discovery_issuer_endpoints_and_token_share_the_origin_of_the_request(
    world: World, path: str, host: str
) -> None:
    for tenant in (world.tenant.guid, "default", "common"):
        document = world.client.get(f"/{tenant}/{path}", headers={"host": host}).json()
        urls = [document[name] for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")]
        assert all(url.startswith(f"https://{host}/{world.tenant.guid}/") for url in urls)
        asked = document["token_endpoint"].removeprefix(f"https://{host}")
        token = world.client.post(asked, data=world.form(), headers={"host": host}).json()["access_token"]
        assert read_claims(token, world.keys)["iss"] == document["issuer"]
        assert world.tokens.verify(token, NOW)
        jwks = world.client.get(document["jwks_uri"].removeprefix(f"https://{host}"), headers={"host": host}).json()
        assert [(key["kid"], key["issuer"]) for key in jwks["keys"]] == [(world.keys.kid, document["issuer"])]


def test_a_host_we_do_not_know_gets_nothing_of_its_own_into_an_answer(world: World) -> None:
    path = f"/{world.tenant.guid}/v2.0/.well-known/openid-configuration"
    response = world.client.get(path, headers={"host": "evil.example"})
    assert "evil" not in response.text
    assert response.json()["issuer"] == f"https://tocsin.example/{world.tenant.guid}/v2.0"


def test_instance_discovery_takes_a_url_without_the_port_as_msal_sends_it(world: World) -> None:
    asked = {"authorization_endpoint": f"https://localhost/{world.tenant.guid}/oauth2/v2.0/authorize"}
    answer = world.client.get("/common/discovery/instance", params=asked, headers={"host": "localhost:8443"}).json()
    assert answer["tenant_discovery_endpoint"] == (
        f"https://localhost:8443/{world.tenant.guid}/v2.0/.well-known/openid-configuration"
    )


def test_instance_discovery_knows_this_server_only(world: World) -> None:
    path = "/common/discovery/instance"
    endpoint = f"https://tocsin.example/{world.tenant.guid}/oauth2/v2.0/authorize"
    asked = {"api-version": "1.1", "authorization_endpoint": endpoint}
    answer = world.client.get(path, params=asked).json()
    assert answer["tenant_discovery_endpoint"] == (
        f"https://tocsin.example/{world.tenant.guid}/v2.0/.well-known/openid-configuration"
    )
    wrong_endpoints = (
        "", "x", "https://", "https://[", "https://tocsin.example", "https://tocsin.example/", "http://tocsin.example/x/",
        "https://evil.example/x/oauth2", "https://tocsin.example.evil/x/", "https://tocsin.example/a%/b",
        "https://tocsin.example:x/x/", "https://tocsin.example:9/x/",
    )  # fmt: skip
    for wrong in wrong_endpoints:
        response = world.client.get(path, params={"authorization_endpoint": wrong})
        _refused(response, 400, "invalid_instance", 50049)


def test_many_wrong_secrets_are_told_to_wait_and_the_right_one_still_passes(world: World) -> None:
    wrong = world.form(client_secret="wrong")
    for _ in range(FAILURES_PER_MINUTE):
        _refused(world.ask(wrong), 401, "invalid_client", 7000215)
    response = world.ask(wrong)
    assert "in 60 seconds" in _refused(response, 429, "temporarily_unavailable", 90055)
    assert response.headers["retry-after"] == "60"
    _accepted(world, world.ask(world.form()))
    world.clock.ticks += MINUTE
    assert world.ask(wrong).status_code == 401


def test_the_correlation_id_of_the_client_comes_back_and_nothing_else_does(world: World) -> None:
    wrong = world.form(client_secret="wrong")
    assert world.ask(wrong, **{"client-request-id": STRANGER}).json()["correlation_id"] == STRANGER
    assert world.ask(wrong, **{"client-request-id": "<script>"}).json()["correlation_id"] != "<script>"


def test_neither_secret_nor_token_is_logged_or_answered(world: World) -> None:
    wrong = "0123456789-wrong-secret"
    with capture_logs() as lines:
        token = world.ask(world.form()).json()["access_token"]
        answers = [
            world.ask(world.form(client_secret=wrong)),
            world.ask(world.form(client_secret=world.secret, scope="nothing")),
            world.ask(world.form(client_secret=world.secret, client_id=STRANGER)),
            world.ask(world.form(client_secret=wrong, grant_type=None)),
            world.ask(world.form(client_secret=None, client_assertion=token)),
        ]
    said = json.dumps(lines) + "".join(answer.text for answer in answers)
    assert len(lines) == len(answers)
    for hidden in (wrong, world.secret, token):
        assert hidden not in said


@pytest.mark.parametrize(("method", "path"), [("GET", "oauth2/v2.0/token"), ("POST", "discovery/v2.0/keys")])
def test_other_methods_are_not_allowed(world: World, method: str, path: str) -> None:
    assert world.client.request(method, f"/{world.tenant.guid}/{path}").status_code == 405


def test_over_real_tls_the_made_authority_is_all_a_client_must_trust(world: World, tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    names = service_names(Settings(listen_port=0), port)
    files = ensure_tls(tmp_path, names.certificate_hosts, now())
    tokens = Tokens(world.keys, names, world.registry, Nobody(), 60)
    issuer = Issuer(world.registry, Nobody(), tokens, names, OwnKeeper(open_side_writer(tmp_path / "tocsin.db")))
    deps = OAuthDeps(issuer=issuer, directory=world.registry, keys=world.keys, names=names, clock=now)
    application = Starlette(routes=oauth_routes(deps))
    server = uvicorn.Server(uvicorn.Config(application, ssl_certfile=files.server, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        trusted = ssl.create_default_context(cafile=str(files.authority))
        trusted.verify_flags |= ssl.VERIFY_X509_STRICT
        for host in ("127.0.0.1", "localhost"):
            with httpx2.Client(verify=trusted, base_url=f"https://{host}:{port}", trust_env=False) as client:
                document = client.get(f"/{world.tenant.guid}/v2.0/.well-known/openid-configuration").json()
                answer = client.post(document["token_endpoint"], data=world.form()).json()
                assert tokens.verify(answer["access_token"], now()).name == "SIEM"
        with httpx2.Client(trust_env=False) as stranger, pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY"):
            stranger.get(f"https://127.0.0.1:{port}/common/discovery/instance")
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _certified(world: World) -> Holder:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    holder = Holder(key, parse_certificate(certify(key)))
    SignIns(open_side_writer(world.database)).add_certificate(
        world.tenant.tenant_id, world.application.app_id, holder.certificate, NOW
    )
    return holder


def _asserted(world: World, holder: Holder, path: str = "oauth2/v2.0/token", **changes: Any) -> str:
    app_id = world.application.app_id
    named = {"iss": app_id, "sub": app_id, "aud": f"https://tocsin.example/{world.tenant.guid}/{path}"}
    return holder.assertion("PS256", **{**named, **changes})


def test_an_application_proves_itself_with_its_certificate(world: World) -> None:
    holder = _certified(world)
    for path, asked in (("oauth2/v2.0/token", {}), ("oauth2/token", {"scope": None, "resource": RESOURCE})):
        form = world.form(client_secret=None, client_assertion=_asserted(world, holder, path), **asked)
        answer = _accepted(world, world.ask(form, path))
        claims = read_claims(answer["access_token"], world.keys)
        assert claims["azpacr" if path == "oauth2/v2.0/token" else "appidacr"] == "2"


@pytest.mark.parametrize("host", ["localhost:8443", "127.0.0.1:8443", "tocsin.example"])
@pytest.mark.parametrize("tenant", ["default", "common"])
def test_an_assertion_may_be_for_any_name_by_which_this_endpoint_is_called(
    world: World, host: str, tenant: str
) -> None:
    holder = _certified(world)
    assertion = _asserted(world, holder, aud=f"https://{host}/{tenant}/oauth2/v2.0/token")
    form = world.form(client_secret=None, client_assertion=assertion)
    _accepted(world, world.client.post(f"/{tenant}/oauth2/v2.0/token", data=form))
    elsewhere = world.form(client_secret=None, client_assertion=_asserted(world, holder, aud=f"https://{host}/x/token"))
    _refused(world.ask(elsewhere), 401, "invalid_client", 700027)


def test_an_assertion_opens_each_resource_once_as_msal_keeps_it_for_several(world: World) -> None:
    form = world.form(client_secret=None, client_assertion=_asserted(world, _certified(world)))
    _accepted(world, world.ask(form))
    _accepted(world, world.ask({**form, "scope": "https://graph.microsoft.com/.default"}))
    for scope in (form["scope"], f"openid {form['scope']}", "https://graph.microsoft.com/.default"):
        _refused(world.ask({**form, "scope": scope}), 401, "invalid_client", 700027)


def test_an_assertion_out_of_its_time_or_of_no_registered_certificate_is_refused(world: World) -> None:
    holder = _certified(world)
    late = world.form(client_secret=None, client_assertion=_asserted(world, holder, exp=NOW // SECOND - 60))
    _refused(world.ask(late), 401, "invalid_client", 700024)
    SignIns(open_side_writer(world.database)).remove_certificate(
        world.tenant.tenant_id, world.application.app_id, holder.certificate.thumbprint
    )
    gone = world.form(client_secret=None, client_assertion=_asserted(world, holder))
    _refused(world.ask(gone), 401, "invalid_client", 700027)
    both = world.form(client_assertion=_asserted(world, holder))
    _refused(world.ask(both), 400, "invalid_request", 9002313)
