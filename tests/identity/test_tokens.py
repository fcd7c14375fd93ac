"""A token of ours is accepted; everything that is not quite one is refused, each time beside one that is accepted."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tocsin.access import Permission, Principal
from tocsin.config import Settings
from tocsin.errors import Forbidden, Unauthenticated
from tocsin.identity.credentials import CREDENTIAL_BYTES_MAX, hash_secret, new_ingest_key, new_secret
from tocsin.identity.jwt import read_claims
from tocsin.identity.lookup import Nobody
from tocsin.identity.names import ServiceNames, service_names
from tocsin.identity.people import Application, Tenant
from tocsin.identity.signing import SigningKeys, load_signing_keys
from tocsin.identity.tokens import Tokens
from tocsin.stores.sqlite.connection import open_writer
from tocsin.stores.sqlite.registry import Registry
from tocsin.ticks import DAY, HOUR, MINUTE, SECOND

NOW: Final = 1_700_000_000 * SECOND
SECONDS: Final = NOW // SECOND
AUDIENCE: Final = "https://api.security.microsoft.com"
NAMES: Final = service_names(Settings(public_url="https://tocsin.example"))
MISSING: Final = object()
CHECKED_CLAIMS: Final = ["aud", "iss", "iat", "nbf", "exp", "azp", "idtyp", "oid", "sub", "roles", "tid", "ver"]


class World(msgspec.Struct, frozen=True):
    keys: SigningKeys
    private: rsa.RSAPrivateKey
    registry: Registry
    tenant: Tenant
    other_tenant: Tenant
    application: Application
    names: ServiceNames

    def tokens(self) -> Tokens:
        return Tokens(self.keys, self.names, self.registry, Nobody(), 60)

    def issue(self, version: int = 2, audience: str = AUDIENCE, base_url: str = NAMES.base_url) -> str:
        return (
            self.tokens()
            .issue(self.tenant, self.application, audience=audience, base_url=base_url, version=version, now=NOW)
            .text
        )

    def claims(self, **changes: Any) -> dict[str, Any]:
        claims = {**read_claims(self.issue(), self.keys), **changes}
        return {name: value for name, value in claims.items() if value is not MISSING}

    def header(self, **changes: Any) -> dict[str, Any]:
        header = {"alg": "RS256", "kid": self.keys.kid, "typ": "JWT", **changes}
        return {name: value for name, value in header.items() if value is not MISSING}

    def sign(self, header: Any = None, claims: Any = None) -> str:
        """A token with a right signature over whatever it is given: objects, or the bytes themselves."""
        parts = [
            _bytes(self.header() if header is None else header),
            _bytes(self.claims() if claims is None else claims),
        ]
        signed = ".".join(map(_b64, parts))
        return f"{signed}.{_b64(self.private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def accepts(self, token: str, now: int = NOW) -> Principal:
        return self.tokens().verify(token, now)

    def refuses(self, token: str, now: int = NOW) -> str:
        """The reason; the token beside it, made the same way, is accepted."""
        self.accepts(self.sign())
        with pytest.raises(Unauthenticated) as refusal:
            self.tokens().verify(token, now)
        return str(refusal.value)


def _bytes(part: Any) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part).encode()


def _b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    return load_signing_keys(tmp_path_factory.mktemp("keys"), NOW)


@pytest.fixture
def world(tmp_path: Path, keys: SigningKeys) -> Iterator[World]:
    connection = open_writer(tmp_path / "tocsin.db")
    registry = Registry(connection)
    tenant = registry.create_tenant("one", "11111111-2222-4333-8444-555555555555", NOW)
    other = registry.create_tenant("two", "99999999-2222-4333-8444-555555555555", NOW)
    application = registry.create_application(
        tenant.tenant_id, "SIEM", [Permission.READ], secret_hash=hash_secret(new_secret()), now=NOW
    )
    private = keys.signer.private_key
    assert private is not None
    yield World(keys, private, registry, tenant, other, application, NAMES)
    connection.close()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("base_url", sorted(NAMES.bases.values()))
def test_a_token_of_either_version_and_any_of_our_names_is_its_application(
    world: World, version: int, base_url: str
) -> None:
    caller = world.accepts(world.issue(version=version, base_url=base_url))
    assert caller == Principal(world.tenant.tenant_id, world.application.app_id, "SIEM", frozenset({Permission.READ}))


def test_version_1_names_the_app_as_appid_and_version_2_as_azp(world: World) -> None:
    first, second = (read_claims(world.issue(version=version), world.keys) for version in (1, 2))
    assert (first["ver"], first["appid"], first["iss"]) == (
        "1.0", world.application.app_id, f"https://tocsin.example/{world.tenant.guid}/",
    )  # fmt: skip
    assert (second["ver"], second["azp"], second["iss"]) == (
        "2.0", world.application.app_id, f"https://tocsin.example/{world.tenant.guid}/v2.0",
    )  # fmt: skip
    assert "azp" not in first
    assert "appid" not in second


@pytest.mark.parametrize("audience", sorted(NAMES.audiences()))
def test_every_alias_of_the_resource_is_taken_as_audience(world: World, audience: str) -> None:
    assert world.accepts(world.issue(audience=audience))


@pytest.mark.parametrize(
    ("later", "fresh"), [(0, True), (HOUR + MINUTE - SECOND, True), (HOUR + MINUTE, False), (-MINUTE, True)]
)
def test_a_token_lives_an_hour_with_a_minute_of_grace_on_both_sides(world: World, later: int, fresh: bool) -> None:
    token = world.issue()
    if fresh:
        assert world.accepts(token, NOW + later)
    else:
        assert "expired" in world.refuses(token, NOW + later)
    assert "not valid yet" in world.refuses(token, NOW - MINUTE - SECOND)


def _wrong_values(right: object) -> list[object]:
    return [
        MISSING, None, True, False, "", " ", 0, -1, 1, 1.5, 1e40, 10**40, -(10**40), math.nan, math.inf, [], {},
        [right], {"a": right}, f"{right}", f"{right} ", f" {right}", f"{right}/", f"{right}x", f"{right}".upper(),
        f"{right}\x00", [None], [1],
    ]  # fmt: skip


@pytest.mark.parametrize("claim", CHECKED_CLAIMS)
def test_no_checked_claim_may_be_anything_but_right(world: World, claim: str) -> None:
    right = world.claims()[claim]
    tried = 0
    for wrong in _wrong_values(right):
        harmless = wrong == right or (
            claim == "aud" and wrong in NAMES.audiences() if isinstance(wrong, str) else False
        )
        if harmless or (claim == "roles" and wrong == []):
            continue
        tried += 1
        assert world.refuses(world.sign(claims=world.claims(**{claim: wrong})))
    assert tried >= 20


OTHER_GUID: Final = "99999999-2222-4333-8444-555555555555"
OWN_GUID: Final = "11111111-2222-4333-8444-555555555555"
STRANGER: Final = "77777777-2222-4333-8444-555555555555"
WRONG_CLAIMS: Final[dict[str, dict[str, Any]]] = {
    "iss of another host": {"iss": f"https://evil.example/{OWN_GUID}/v2.0"},
    "iss of another port": {"iss": f"https://localhost:9999/{OWN_GUID}/v2.0"},
    "iss with a slash behind": {"iss": f"https://tocsin.example/{OWN_GUID}/v2.0/"},
    "iss of version 1": {"iss": f"https://tocsin.example/{OWN_GUID}/"},
    "iss of another tenant": {"iss": f"https://tocsin.example/{OTHER_GUID}/v2.0"},
    "iss as a list": {"iss": [f"https://tocsin.example/{OWN_GUID}/v2.0"]},
    "iss of Entra ID": {"iss": f"https://sts.windows.net/{OWN_GUID}/"},
    "aud with more behind": {"aud": AUDIENCE + ".evil.example"},
    "aud that is a piece": {"aud": AUDIENCE[:-1]},
    "aud in another case": {"aud": AUDIENCE.upper()},
    "aud with a path": {"aud": AUDIENCE + "/api"},
    "aud with two slashes": {"aud": AUDIENCE + "//"},
    "aud an empty list": {"aud": []},
    "aud a list with ours": {"aud": [AUDIENCE]},
    "aud a list with ours and another": {"aud": [AUDIENCE, "https://other.example"]},
    "aud of an ID token": {"aud": STRANGER},
    "tid of another tenant of this host": {"tid": OTHER_GUID},
    "tid and iss of another tenant": {"tid": OTHER_GUID, "iss": f"https://tocsin.example/{OTHER_GUID}/v2.0"},
    "tid unknown": {"tid": STRANGER, "iss": f"https://tocsin.example/{STRANGER}/v2.0"},
    "tid a name": {"tid": "one", "iss": "https://tocsin.example/one/v2.0"},
    "app unknown": {"azp": STRANGER, "sub": STRANGER, "oid": STRANGER},
    "appid beside azp": {"appid": STRANGER},
    "version 1 with azp": {"ver": "1.0", "iss": f"https://tocsin.example/{OWN_GUID}/"},
    "exp absent": {"exp": MISSING},
    "exp null": {"exp": None},
    "exp as text": {"exp": str(SECONDS + 60)},
    "exp NaN": {"exp": math.nan},
    "exp infinite": {"exp": math.inf},
    "exp 10^40": {"exp": 10**40},
    "exp beyond any life": {"exp": SECONDS + 24 * 3600 + 1},
    "exp before nbf": {"exp": SECONDS - 1},
    "nbf before iat": {"nbf": SECONDS - 1},
    "made tomorrow": {"iat": SECONDS + 86_400, "nbf": SECONDS + 86_400, "exp": SECONDS + 90_000},
    "a user's token": {"idtyp": "user", "scp": "Incident.Read", "roles": MISSING},
    "an ID token": {"aud": STRANGER, "idtyp": MISSING, "roles": MISSING, "nonce": "n"},
    "a logout token": {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}, "idtyp": MISSING},
    "roles as text": {"roles": "Incident.Read.All"},
    "roles with a number": {"roles": ["Incident.Read.All", 1]},
    "an app role in scp": {"roles": MISSING, "scp": "Incident.Read.All"},
    "an app role in scp beside roles": {"scp": "Incident.Read.All"},
}


@pytest.mark.parametrize("changes", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS.keys())
def test_a_token_with_a_wrong_claim_is_refused(world: World, changes: dict[str, Any]) -> None:
    assert world.refuses(world.sign(claims=world.claims(**changes)))


JWK: Final = {"kty": "RSA", "n": "AQAB", "e": "AQAB"}
WRONG_ALGORITHMS: Final[list[object]] = [
    "none", "None", "NONE", "nOnE", "", None, MISSING, 256, ["RS256"], "rs256", "RS256 ", "RS512", "PS256", "HS256",
    "ES256", "EdDSA", "RSA1_5",
]  # fmt: skip
WRONG_KIDS: Final[list[object]] = [
    MISSING, None, "", 0, 1.5, True, [], {}, ["k"], "../../keys/x.pem", "/etc/passwd", "' OR 1=1 --", "k" * 65_536,
    "k" * 300, "\x00",
]  # fmt: skip
WRONG_TYPES: Final[list[object]] = [
    MISSING, None, "", "jwt", "at+jwt", "logout+jwt", "refresh+jwt", "JWE", ["JWT"], 1,
]  # fmt: skip
WRONG_HEADERS: Final[dict[str, dict[str, Any]]] = {
    **{f"alg {number}": {"alg": alg} for number, alg in enumerate(WRONG_ALGORITHMS)},
    **{f"kid {number}": {"kid": kid} for number, kid in enumerate(WRONG_KIDS)},
    **{f"typ {number}": {"typ": typ} for number, typ in enumerate(WRONG_TYPES)},
    "crit unknown": {"crit": ["x"], "x": 1},
    "crit empty": {"crit": []},
    "crit of a known name": {"crit": ["kid"]},
    "b64 false": {"b64": False, "crit": ["b64"]},
    "b64 false, not critical": {"b64": False},
    "b64 true": {"b64": True},
    "zip": {"zip": "DEF"},
    "enc": {"enc": "A256GCM"},
    "cty of a nested token": {"cty": "JWT"},
    "jku": {"jku": "https://127.0.0.1:9/keys"},
    "x5u": {"x5u": "https://127.0.0.1:9/cert"},
    "jwk": {"jwk": JWK},
    "x5c": {"x5c": ["AAAA"]},
    "x5t": {"x5t": "AAAA"},
    "nonce": {"nonce": "x"},
}


@pytest.mark.parametrize("changes", WRONG_HEADERS.values(), ids=WRONG_HEADERS.keys())
def test_a_token_with_a_wrong_header_is_refused(world: World, changes: dict[str, Any]) -> None:
    assert world.refuses(world.sign(header=world.header(**changes)))


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b'"x"', b"1", b"{", b"{}x", b"\xff\xfe", b"{'a':1}", b"\xef\xbb\xbf{}", b'{"a":\xff}',
     b'{"exp":' + b"9" * 5000 + b"}", b"[" * 5000 + b"]" * 5000, b'{"a":' * 1500 + b"1" + b"}" * 1500],
)  # fmt: skip
def test_a_payload_or_header_that_is_no_json_object_is_refused(world: World, content: bytes) -> None:
    assert world.refuses(world.sign(claims=content))
    assert world.refuses(world.sign(header=content))


def test_nesting_that_breaks_a_parser_is_refused_beside_right_claims(world: World) -> None:
    bomb = json.dumps(world.claims())[:-1].encode() + b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    token = world.sign(claims=bomb)
    assert len(token) < CREDENTIAL_BYTES_MAX
    assert world.refuses(token)


@pytest.mark.parametrize("part", ["header", "claims"])
def test_a_key_that_stands_twice_is_refused_even_with_the_same_value(world: World, part: str) -> None:
    whole = world.header() if part == "header" else world.claims()
    for name, value in whole.items():
        twice = json.dumps(whole)[:-1] + f", {json.dumps(name)}: {json.dumps(value)}}}"
        assert world.refuses(world.sign(**{part: twice.encode()}))
    nested = json.dumps(whole)[:-1] + ', "x": {"a": 1, "a": 1}}'
    assert world.refuses(world.sign(**{part: nested.encode()}))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_is_refused_even_where_nothing_reads_it(world: World, number: float) -> None:
    assert "not JSON" in world.refuses(world.sign(claims=world.claims(x=number)))


@pytest.mark.parametrize("size", [CREDENTIAL_BYTES_MAX + 1, 64 * 1024, 1024 * 1024])
def test_a_huge_token_is_refused_before_it_is_read(world: World, size: int) -> None:
    padded = world.sign(claims=world.claims(x="a" * (size * 3 // 4)))
    assert "too long" in world.refuses(padded)
    assert "too long" in world.refuses("." * size)


def test_a_token_just_below_the_bound_is_accepted(world: World) -> None:
    token = world.sign(claims=world.claims(x="a" * 11_000))
    assert len(token) < CREDENTIAL_BYTES_MAX
    assert world.accepts(token)


def test_no_character_of_a_token_may_be_changed_dropped_or_doubled(world: World) -> None:
    token, tokens = world.issue(), world.tokens()
    for at, character in enumerate(token):
        for put in ("", character * 2, "A" if character != "A" else "B", "=", "\n"):
            with pytest.raises(Unauthenticated):
                tokens.verify(token[:at] + put + token[at + 1 :], NOW)
    assert tokens.verify(token, NOW)


def test_unused_bits_at_the_end_of_a_part_are_refused(world: World) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    parts = world.issue().split(".")
    signature = parts[2]
    twin = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    pad = "=" * (-len(signature) % 4)
    assert base64.urlsafe_b64decode(twin + pad) == base64.urlsafe_b64decode(signature + pad)
    assert "form" in world.refuses(".".join((*parts[:2], twin)))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t + "=", lambda t: t + " ", lambda t: " " + t, lambda t: t + "\n", lambda t: t.replace(".", " ."),
        lambda t: t + ".", lambda t: "." + t, lambda t: t + ".a.b", lambda t: t.rpartition(".")[0],
        lambda t: t.rpartition(".")[0] + ".", lambda t: ".".join(t.split(".")[::2]), lambda t: f"Bearer {t}",
        lambda t: t.split(".")[0] + ".." + t.split(".")[2], lambda t: "", lambda t: "..", lambda t: "a.b.c",
        lambda t: t.replace("-", "+").replace("_", "/") + "+", lambda t: t + "é", lambda t: t + "\ud800",
        lambda t: _b64(t.encode()), lambda t: f'{{"payload":"{t}"}}',
    ],
)  # fmt: skip
def test_a_text_of_another_form_is_refused(world: World, spoil: Any) -> None:
    assert world.refuses(spoil(world.issue()))


def test_a_token_within_a_token_is_refused(world: World) -> None:
    assert world.refuses(world.sign(claims=world.issue().encode()))
    assert world.refuses(world.sign(header=world.header(cty="JWT"), claims=world.issue().encode()))


def test_hs256_with_the_public_key_is_refused(world: World) -> None:
    public = world.private.public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        world.keys.kid.encode(),
    ):
        for alg in ("HS256", "RS256"):
            signed = f"{_b64(_bytes(world.header(alg=alg)))}.{_b64(_bytes(world.claims()))}"
            mac = hmac.HMAC(secret, hashes.SHA256())
            mac.update(signed.encode())
            assert world.refuses(f"{signed}.{_b64(mac.finalize())}")


@pytest.mark.parametrize(
    "signature", [b"", b"\x00" * 64, b"\x00" * 256, b"\x00" * 255 + b"\x01", b"\xff" * 256, b"a" * 2000]
)
def test_a_made_up_signature_is_refused(world: World, signature: bytes) -> None:
    for alg in ("RS256", "ES256"):
        signed = f"{_b64(_bytes(world.header(alg=alg)))}.{_b64(_bytes(world.claims()))}"
        assert world.refuses(f"{signed}.{_b64(signature)}")


def test_a_strangers_key_is_refused_however_the_header_points_to_it(world: World, tmp_path: Path) -> None:
    stranger = load_signing_keys(tmp_path, NOW)
    private = stranger.signer.private_key
    assert private is not None
    (public,) = stranger.jwks("https://tocsin.example")["keys"]
    forger = msgspec.structs.replace(world, private=private)
    for changes in ({}, {"kid": stranger.kid}, {"jwk": public}, {"kid": stranger.kid, "jwk": public},
                    {"jku": "https://127.0.0.1:9/keys"}, {"x5u": "https://127.0.0.1:9/cert"}):  # fmt: skip
        assert world.refuses(forger.sign(header=world.header(**changes)))


def test_reasons_never_hold_a_piece_of_the_token(world: World) -> None:
    for changes in WRONG_CLAIMS.values():
        token = world.sign(claims=world.claims(**changes))
        reason = world.refuses(token)
        assert not any(part in reason for part in token.split("."))


def test_an_application_may_do_what_token_and_registry_both_say(world: World) -> None:
    token = world.issue()
    world.registry.set_permissions(
        world.tenant.tenant_id, world.application.app_id, [Permission.READ, Permission.READ_WRITE]
    )
    assert world.accepts(token).permissions == {Permission.READ}
    world.registry.set_permissions(world.tenant.tenant_id, world.application.app_id, [Permission.READ_WRITE])
    assert world.accepts(token).permissions == frozenset()


@pytest.mark.parametrize("roles", [[], ["Incident.Read"], ["incident.read.all"], ["Incident.Read.All "], ["*"]])
def test_a_caller_without_any_permission_is_forbidden_everything(world: World, roles: list[str]) -> None:
    caller = world.accepts(world.sign(claims=world.claims(roles=roles)))
    assert not caller.scope().whole_tenant
    for permission in Permission:
        with pytest.raises(Forbidden, match="application roles: none"):
            caller.require(permission)


def test_a_read_permission_does_not_write(world: World) -> None:
    with pytest.raises(Forbidden):
        world.accepts(world.issue()).require(Permission.READ_WRITE)


@pytest.mark.parametrize("clock_step", [31 * SECOND, -HOUR, 30 * MINUTE])
def test_a_disabled_application_is_refused_within_a_minute_whatever_the_clock_does(
    world: World, clock_step: int
) -> None:
    tokens, start = world.tokens(), NOW + 5 * MINUTE
    token = world.sign(claims=world.claims(iat=SECONDS - 7200, nbf=SECONDS - 7200, exp=SECONDS + 7200))
    assert tokens.verify(token, start)
    world.registry.disable_application(world.tenant.tenant_id, world.application.app_id, start)
    with pytest.raises(Unauthenticated, match="disabled"):
        tokens.verify(token, start + clock_step)


def test_a_verified_token_still_ends_on_time(world: World) -> None:
    tokens, end = world.tokens(), NOW + HOUR + MINUTE
    token = world.issue()
    assert tokens.verify(token, end - SECOND)
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.verify(token, end)


def test_a_new_application_is_known_at_once(world: World) -> None:
    tokens = world.tokens()
    later = msgspec.structs.replace(world.application, app_id=STRANGER, name="late")
    token = tokens.issue(world.tenant, later, audience=AUDIENCE, base_url=NAMES.base_url, version=2, now=NOW).text
    with pytest.raises(Unauthenticated, match="unknown"):
        tokens.verify(token, NOW)
    world.registry.create_application(world.tenant.tenant_id, "late", [], secret_hash="aa", now=NOW, app_id=STRANGER)
    assert tokens.verify(token, NOW).name == "late"


def test_an_ingest_key_may_send_alerts_and_nothing_else(world: World) -> None:
    key = new_ingest_key()
    world.registry.create_ingest_key(
        world.tenant.tenant_id, "sensor", key_id=key.key_id, key_hash=key.key_hash, now=NOW
    )
    tokens = world.tokens()
    caller = tokens.authenticate(key.text, NOW)
    assert caller == Principal(world.tenant.tenant_id, key.key_id, "sensor", frozenset({Permission.INGEST}))
    assert not caller.scope().whole_tenant
    wrong = key.text[:-1] + ("0" if key.text[-1] != "0" else "1")
    for text in (wrong, new_ingest_key().text, "tocsin_", key.text + "0"):
        with pytest.raises(Unauthenticated):
            tokens.authenticate(text, NOW)
    world.registry.disable_ingest_key(world.tenant.tenant_id, key.key_id, NOW)
    with pytest.raises(Unauthenticated, match="disabled"):
        tokens.authenticate(key.text, NOW + DAY)


def test_authenticate_takes_tokens_too(world: World) -> None:
    assert world.tokens().authenticate(world.issue(), NOW).name == "SIEM"
