"""Tokens of foreign issuers: a good one is its application or person; what is not quite one is refused beside it."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey, RSAKey

from tocsin.access import Permission, Principal
from tocsin.errors import InvalidInput, Unauthenticated, Unavailable
from tocsin.identity.credentials import CREDENTIAL_BYTES_MAX
from tocsin.identity.foreign import PRESETS, ForeignIssuer, checked, claim_at, preset, values_at
from tocsin.identity.foreign_callers import ForeignCallers
from tocsin.identity.foreign_keys import KeySets, read_keys
from tocsin.identity.foreign_tokens import read_id_token
from tocsin.identity.lookup import FreshCache, Lookup
from tocsin.identity.people import Tenant, User
from tocsin.stores.sqlite.connection import open_writer
from tocsin.stores.sqlite.foreign import ForeignIssuers, provision
from tocsin.stores.sqlite.people import People
from tocsin.stores.sqlite.registry import Registry
from tocsin.ticks import DAY, HOUR, MINUTE, SECOND

NOW: Final = 1_700_000_000 * SECOND
SECONDS: Final = NOW // SECOND
MISSING: Final = object()
ONE, TWO = "https://one.example", "https://two.example/realms/two"
AUDIENCE: Final = "https://api.security.microsoft.com"
RSA_ONE, RSA_TWO = (rsa.generate_private_key(65537, 2048) for _ in range(2))
EC_ONE: Final = ec.generate_private_key(ec.SECP256R1())


def _jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str, **more: Any) -> dict[str, Any]:
    made = RSAKey.import_key(key) if isinstance(key, rsa.RSAPrivateKey) else ECKey.import_key(key)
    return {**made.as_dict(private=False), "kid": kid, "use": "sig", **more}


KEYS: Final = {
    ONE: [_jwk(RSA_ONE, "shared"), _jwk(EC_ONE, "curve"), _jwk(RSA_ONE, "pinned", alg="PS256")],
    TWO: [_jwk(RSA_TWO, "shared"), _jwk(RSA_TWO, "two")],
}


class Network:
    """Issuers that answer, and notes of what they were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keys = {issuer: list(keys) for issuer, keys in KEYS.items()}
        self.reachable = True
        self.said: dict[str, Any] = {}

    async def get(self, issuer: ForeignIssuer, url: str) -> dict[str, Any]:
        self.asked.append(url)
        await asyncio.sleep(0)
        if not self.reachable:
            raise Unavailable("nobody answers")
        if url.endswith("/keys"):
            return {"keys": self.keys[issuer.issuer]}
        return {"issuer": issuer.issuer, "jwks_uri": f"{issuer.issuer}/keys", **self.said}

    async def post(
        self, issuer: ForeignIssuer, url: str, form: Mapping[str, str], basic: tuple[str, str] | None
    ) -> tuple[int, dict[str, Any]]:
        raise AssertionError("no form is sent")


class World:
    """Two tenants, each with an issuer; both issuers have a key called `shared`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.registry, self.people, self.issuers = Registry(connection), People(connection), ForeignIssuers(connection)
        self.tenants = [self.registry.create_tenant(name, guid, NOW) for name, guid in TENANTS.items()]
        self.network = Network()
        self.keys = KeySets(self.network)
        for tenant, url in zip(self.tenants, (ONE, TWO), strict=True):
            self.issuers.add(self.describe(tenant, url), NOW)
        self.eva = self.add("eva", ONE, "eva-7")

    def describe(self, tenant: Tenant, url: str, **changes: Any) -> ForeignIssuer:
        values: dict[str, Any] = {
            "tenant_id": tenant.tenant_id,
            "name": tenant.name,
            "issuer": url,
            "audiences": (AUDIENCE,),
            "permissions": frozenset({Permission.READ}),
            "clients": ("siem",),
            "client_id": "portal",
        }
        return checked(ForeignIssuer(**{**values, **changes}))

    def add(self, name: str, issuer: str, subject: str, tenant: int = 0, role: str = "Security reader") -> User:
        tenant_id = self.tenants[tenant].tenant_id
        user = self.people.create_user(tenant_id, name, now=NOW - DAY, issuer=issuer, subject=subject)
        self.people.set_roles(tenant_id, user.user_id, [self.people.ensure_role(tenant_id, role).role_id])
        return user

    def change(self, **changes: Any) -> ForeignIssuer:
        kept = msgspec.structs.replace(self.issuers.get(self.tenants[0].tenant_id, "one"), **changes)
        self.issuers.replace(checked(kept))
        return kept

    def callers(self) -> ForeignCallers:
        async def make(issuer: ForeignIssuer, subject: str, claims: Mapping[str, Any]) -> User:
            return provision(self.connection, issuer, subject, claims, NOW)

        lookup = Lookup(self.registry, self.people, FreshCache(100))
        return ForeignCallers(self.issuers, lookup, self.keys, make)

    def verify(self, token: str, now: int = NOW, callers: ForeignCallers | None = None) -> Principal:
        callers = callers or self.callers()
        asyncio.run(callers.prepare(token, now))
        issuer = callers.issuer_of(token, now)
        if issuer is None:
            raise Unauthenticated("no issuer of ours")
        return callers.verify(token, issuer, now)

    def refuses(self, token: str, now: int = NOW) -> str:
        """The reason; the token beside it, made the same way, is accepted."""
        assert self.verify(sign())
        with pytest.raises(Unauthenticated) as refusal:
            self.verify(token, now)
        assert not any(part in str(refusal.value) for part in token.split(".") if part)
        return str(refusal.value)


TENANTS: Final = {"one": "11111111-2222-4333-8444-555555555555", "two": "99999999-2222-4333-8444-555555555555"}


def header(**changes: Any) -> dict[str, Any]:
    return _without({"alg": "RS256", "kid": "shared", "typ": "at+jwt", **changes})


def claims(**changes: Any) -> dict[str, Any]:
    found = {
        "iss": ONE, "aud": AUDIENCE, "sub": "siem", "client_id": "siem", "scope": "Incident.Read.All",
        "iat": SECONDS, "exp": SECONDS + 3600, **changes,
    }  # fmt: skip
    return _without(found)


def person(**changes: Any) -> dict[str, Any]:
    return claims(**{"sub": "eva-7", "scope": "Incident.Read", **changes})


def id_claims(**changes: Any) -> dict[str, Any]:
    return claims(**{"aud": "portal", "sub": "eva-7", "nonce": "n", "scope": MISSING, "client_id": MISSING, **changes})


def _without(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not MISSING}


def _b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def sign(body: Any = None, head: Any = None, key: Any = RSA_ONE) -> str:
    """A right signature, by the algorithm that the header says as far as it is one of ours, over whatever is given."""
    head = header() if head is None else head
    body = claims() if body is None else body
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, body)]
    signed = ".".join(map(_b64, parts))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    elif isinstance(head, dict) and head.get("alg") == "PS256":
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        signature = key.sign(signed.encode(), pss, hashes.SHA256())
    else:
        signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_b64(signature)}"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    connection = open_writer(tmp_path / "tocsin.db")
    yield World(connection)
    connection.close()


def test_an_application_may_do_what_its_token_says_and_its_issuer_is_allowed(world: World) -> None:
    caller = world.verify(sign())
    assert (caller.tenant_id, caller.name, caller.user_id) == (world.tenants[0].tenant_id, "siem (one)", None)
    assert caller.permissions == {Permission.READ}
    assert caller.scope().whole_tenant
    assert world.verify(sign(claims(scope="Incident.ReadWrite.All"))).permissions == frozenset()
    world.change(permissions=frozenset())
    assert world.verify(sign()).permissions == frozenset()


def test_a_person_may_do_what_the_token_says_and_their_roles_permit(world: World) -> None:
    caller = world.verify(sign(person(scope="openid Incident.Read Incident.ReadWrite Incident.Read.All")))
    assert caller.user_id == world.eva.user_id
    assert caller.permissions == {Permission.USER_READ}
    assert caller.grants is not None
    assert len(caller.grants) == 1
    assert world.verify(sign(person(scope="Incident.Read.All"))).permissions == frozenset()


@pytest.mark.parametrize(("alg", "kid", "key"), [("ES256", "curve", EC_ONE), ("PS256", "pinned", RSA_ONE)])
def test_the_other_algorithms_are_taken_too(world: World, alg: str, kid: str, key: Any) -> None:
    assert world.verify(sign(head=header(alg=alg, kid=kid), key=key))
    assert world.refuses(sign(head=header(alg="RS256", kid=kid)))


WRONG_CLAIMS: Final[dict[str, dict[str, Any]]] = {
    "iss of nobody": {"iss": "https://evil.example"},
    "iss with a slash behind": {"iss": ONE + "/"},
    "iss in another case": {"iss": ONE.upper()},
    "iss as a list": {"iss": [ONE]},
    "iss of the other tenant": {"iss": TWO},
    "aud missing": {"aud": MISSING},
    "aud of our portal": {"aud": "portal"},
    "aud with more behind": {"aud": AUDIENCE + "/x"},
    "aud a piece": {"aud": AUDIENCE[:-1]},
    "aud in another case": {"aud": AUDIENCE.upper()},
    "aud an empty list": {"aud": []},
    "aud a list with a number": {"aud": [AUDIENCE, 1]},
    "aud a map": {"aud": {AUDIENCE: 1}},
    "exp missing": {"exp": MISSING},
    "exp null": {"exp": None},
    "exp text": {"exp": str(SECONDS + 60)},
    "exp true": {"exp": True},
    "exp NaN": {"exp": math.nan},
    "exp infinite": {"exp": math.inf},
    "exp 10^40": {"exp": 10**40},
    "exp 10^400": {"exp": 10**400},
    "exp beyond any life": {"exp": SECONDS + 26 * 3600},
    "expired": {"iat": SECONDS - 7200, "exp": SECONDS - 60},
    "iat missing": {"iat": MISSING},
    "made tomorrow": {"iat": SECONDS + 86_400, "exp": SECONDS + 90_000},
    "not yet": {"nbf": SECONDS + 61},
    "nbf a list": {"nbf": []},
    "client missing": {"client_id": MISSING},
    "client a list": {"client_id": ["siem"]},
    "client that was not named": {"client_id": "other", "sub": "other"},
    "two clients": {"azp": "other"},
    "sub missing": {"sub": MISSING},
    "sub of nobody": {"sub": "nobody"},
    "sub a number": {"sub": 7},
    "an ID token": {"at_hash": "x"},
    "an ID token by its nonce": {"nonce": "x"},
    "an ID token by its typ": {"typ": "ID"},
    "a refresh token": {"typ": "Refresh"},
    "a logout token": {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
    "scope a number": {"scope": 1},
    "scope a list with a number": {"scope": ["Incident.Read.All", 1]},
}


@pytest.mark.parametrize("changes", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS.keys())
def test_a_token_with_a_wrong_claim_is_refused(world: World, changes: dict[str, Any]) -> None:
    assert world.refuses(sign(claims(**changes)))


WRONG_HEADERS: Final[dict[str, dict[str, Any]]] = {
    **{
        f"alg {alg!r}": {"alg": alg}
        for alg in ("none", "None", "", None, 256, ["RS256"], "rs256", "RS512", "HS256", "ES256", "EdDSA", MISSING)
    },
    **{
        f"kid {number}": {"kid": kid}
        for number, kid in enumerate((MISSING, None, "", 0, [], {}, "two", "../x", "' OR 1=1 --", "k" * 300))
    },
    **{f"typ {typ!r}": {"typ": typ} for typ in (MISSING, None, "", "JWT", "logout+jwt", "JWE", ["at+jwt"], 1)},
    "jku": {"jku": "https://127.0.0.1:9/keys"},
    "x5u": {"x5u": "https://127.0.0.1:9/cert"},
    "jwk": {"jwk": _jwk(RSA_TWO, "shared")},
    "x5c": {"x5c": ["AAAA"]},
    "crit": {"crit": ["x"], "x": 1},
    "b64": {"b64": False, "crit": ["b64"]},
    "zip": {"zip": "DEF"},
    "cty": {"cty": "JWT"},
}


@pytest.mark.parametrize("changes", WRONG_HEADERS.values(), ids=WRONG_HEADERS.keys())
def test_a_token_with_a_wrong_header_is_refused_and_asks_nobody(world: World, changes: dict[str, Any]) -> None:
    assert world.refuses(sign(head=header(**changes)))
    assert set(world.network.asked) == {f"{ONE}/.well-known/openid-configuration", f"{ONE}/keys"}
    assert len(world.network.asked) == 2


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 4000, b'{"a":1,"a":1}'])
def test_what_is_no_json_object_is_refused(world: World, content: bytes) -> None:
    assert world.refuses(sign(body=content))
    assert world.refuses(sign(head=content))
    assert world.refuses("." * (CREDENTIAL_BYTES_MAX + 1))


def test_a_key_of_another_issuer_is_none_even_under_the_same_name(world: World) -> None:
    assert world.verify(sign(claims(iss=TWO), key=RSA_TWO)).tenant_id == world.tenants[1].tenant_id
    assert world.refuses(sign(key=RSA_TWO))
    assert world.refuses(sign(claims(iss=TWO)))
    assert world.refuses(sign(head=header(kid="two"), key=RSA_TWO))


def test_an_issuer_of_one_tenant_never_gives_a_principal_of_another(world: World) -> None:
    other = world.add("eve", ONE, "only-there", tenant=1)
    assert other.tenant_id == world.tenants[1].tenant_id
    assert world.refuses(sign(person(sub="only-there", tid=TENANTS["two"])))
    assert world.refuses(sign(person(iss=TWO), key=RSA_TWO))
    caller = world.verify(sign(claims(tid=TENANTS["two"])))
    assert caller.tenant_id == world.tenants[0].tenant_id
    with pytest.raises(InvalidInput, match="one tenant alone"):
        world.issuers.add(world.describe(world.tenants[1], ONE, name="again"), NOW)


def test_the_same_client_id_of_two_issuers_is_two_applications(world: World) -> None:
    one, two = world.verify(sign()), world.verify(sign(claims(iss=TWO), key=RSA_TWO))
    assert one.app_id != two.app_id


def test_entra_says_who_calls_by_idtyp_and_oid_and_its_tenant_is_required(world: World) -> None:
    tenant = "aaaaaaaa-2222-4333-8444-555555555555"
    values = preset("entra", f"https://login.microsoftonline.com/{tenant}/v2.0")
    kept = {name: value for name, value in values.items() if name not in ("hosts",)}
    world.change(**kept)
    app = claims(tid=tenant, azp="siem", client_id=MISSING, scope=MISSING, roles=["Incident.Read.All"], oid="o")
    assert world.verify(sign(app, header(typ="JWT", x5t="abc"))).permissions == {Permission.READ}
    assert world.verify(sign({**app, "idtyp": "app"}, header(typ="JWT"))).permissions == {Permission.READ}
    eva = _without({**app, "scp": "Incident.Read", "oid": "eva-7", "roles": MISSING})
    assert world.verify(sign(eva, header(typ="JWT"))).user_id == world.eva.user_id
    for wrong in ({"tid": "x"}, {"tid": None}, {"roles": "Incident.Read.All"}, {"idtyp": "app", "scp": "x"}):
        with pytest.raises(Unauthenticated):
            world.verify(sign({**app, **wrong}, header(typ="JWT")))
    with pytest.raises(InvalidInput, match="never `common`"):
        preset("entra", "https://login.microsoftonline.com/common/v2.0")


def test_keycloak_says_who_calls_by_its_service_accounts(world: World) -> None:
    world.change(**PRESETS["keycloak"], mapped={"reader": (Permission.READ,)})
    app = claims(
        typ="Bearer", azp="siem", sub="f1", scope="profile", preferred_username="service-account-siem",
        realm_access={"roles": ["reader", "offline_access"]},
    )  # fmt: skip
    assert world.verify(sign(app, header(typ="JWT"))).permissions == {Permission.READ}
    human = {**app, "sub": "eva-7", "preferred_username": "service-account-siem", "scope": "Incident.Read"}
    del human["client_id"]
    assert world.verify(sign(human, header(typ="JWT"))).user_id == world.eva.user_id
    with pytest.raises(Unauthenticated):
        world.verify(sign({**app, "realm_access": {"roles": "reader"}}, header(typ="JWT")))


def test_a_disabled_or_signed_out_person_and_a_removed_issuer_are_refused_within_a_minute(world: World) -> None:
    callers, token = world.callers(), sign(person())
    assert world.verify(token, callers=callers)
    world.people.sign_out(world.eva.tenant_id, world.eva.user_id, NOW + 2 * SECOND)
    with pytest.raises(Unauthenticated, match="signed out"):
        world.verify(token, NOW + 40 * SECOND, callers)
    app = sign()
    assert world.verify(app, NOW + 40 * SECOND, callers)
    world.issuers.remove(world.tenants[0].tenant_id, "one")
    with pytest.raises(Unauthenticated):
        world.verify(app, NOW + 80 * SECOND, callers)


def test_nobody_is_made_a_user_unless_the_operator_wants_it(world: World) -> None:
    token = sign(person(sub="new", preferred_username="eva", name="New One"))
    with pytest.raises(Unauthenticated):
        world.verify(token)
    world.change(provision=True, roles=("Security reader",))
    caller = world.verify(token)
    assert caller.permissions == {Permission.USER_READ}
    assert caller.user_id != world.eva.user_id, "a name is nobody's proof"
    assert len(world.people.list_users(world.tenants[0].tenant_id)) == 2
    assert world.verify(token).user_id == caller.user_id
    with pytest.raises(Unauthenticated):
        world.verify(sign(person(sub="forged"), key=RSA_TWO))
    assert len(world.people.list_users(world.tenants[0].tenant_id)) == 2


def test_keys_are_asked_for_at_most_once_in_five_minutes_whatever_kids_arrive(world: World) -> None:
    for number in range(50):
        with pytest.raises(Unauthenticated):
            world.verify(sign(head=header(kid=f"k{number}")), NOW + number * SECOND)
    assert len(world.network.asked) == 2
    with pytest.raises(Unauthenticated):
        world.verify(sign(head=header(kid="k")), NOW + 5 * MINUTE)
    assert len(world.network.asked) == 4


def test_requests_at_once_share_one_fetch(world: World) -> None:
    callers = world.callers()

    async def together() -> None:
        await asyncio.gather(*(callers.prepare(sign(head=header(kid=f"k{n}")), NOW) for n in range(20)))

    asyncio.run(together())
    assert len(world.network.asked) == 2


def test_a_key_that_was_taken_away_ends_within_an_hour(world: World) -> None:
    token = sign(claims(exp=SECONDS + 4 * 3600))
    assert world.verify(token)
    del world.network.keys[ONE][0]
    with pytest.raises(Unauthenticated):
        world.verify(token, NOW + HOUR)


def test_without_an_answer_the_last_good_keys_serve_for_a_day_and_then_it_is_not_now(world: World) -> None:
    assert world.verify(sign())
    world.network.reachable = False
    late = NOW + DAY
    body = claims(iat=SECONDS + 24 * 3600 - 10, exp=SECONDS + 26 * 3600)
    assert world.verify(sign(body), late - SECOND)
    with pytest.raises(Unavailable):
        world.verify(sign(body), late)
    world.network.reachable = True
    with pytest.raises(Unavailable):
        world.verify(sign(body), late + MINUTE)
    assert world.verify(sign(body), late + 6 * MINUTE)


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": TWO}, {"issuer": ONE + "/"}, {"issuer": None}, {"jwks_uri": "https://elsewhere.example/keys"},
        {"jwks_uri": "http://one.example/keys"}, {"jwks_uri": "file:///etc/passwd"}, {"jwks_uri": None},
        {"jwks_uri": "https://169.254.169.254/keys"}, {"jwks_uri": "https://user@one.example/keys"},
    ],
)  # fmt: skip
def test_a_discovery_document_of_another_issuer_or_pointing_elsewhere_is_not_followed(
    world: World, said: dict[str, Any]
) -> None:
    world.network.said = said
    with pytest.raises(Unavailable):
        world.verify(sign())
    assert world.network.asked == [f"{ONE}/.well-known/openid-configuration"]


def test_of_a_key_set_only_what_can_sign_is_read() -> None:
    good = _jwk(RSA_ONE, "good")
    odd: list[Any] = [
        {**good, "kid": "enc", "use": "enc"}, {**good, "kid": "hs", "alg": "HS256"}, {**good, "kid": 5}, None, "x",
        {**good, "kid": "small", "n": _b64(b"\xff" * 128)}, {**good, "kid": "great", "n": _b64(b"\xff" * 2048)},
        {"kty": "oct", "k": "AAAA", "kid": "oct"}, {"kty": "RSA", "kid": "empty"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "off"}, {**good, "kid": "twice"},
        {**good, "kid": "twice"},
    ]  # fmt: skip
    assert list(read_keys({"keys": [*odd, good]})) == ["good"]
    wrongs: list[dict[str, Any]] = [{}, {"keys": {}}, {"keys": [good] * 101}]
    for wrong in wrongs:
        with pytest.raises(InvalidInput):
            read_keys(wrong)


def test_an_id_token_is_the_answer_to_one_sign_in_and_no_access_token(world: World) -> None:
    issuer, keys = world.issuers.get(world.tenants[0].tenant_id, "one"), read_keys({"keys": KEYS[ONE]})
    right = sign(id_claims(), header(typ="JWT"))
    assert read_id_token(right, issuer, keys, "n", SECONDS)["sub"] == "eva-7"
    assert read_id_token(sign(id_claims(), header(typ=MISSING)), issuer, keys, "n", SECONDS)
    assert world.refuses(right)
    wrong: list[dict[str, Any]] = [
        {"nonce": "m"}, {"nonce": MISSING}, {"aud": AUDIENCE}, {"aud": ["portal", AUDIENCE]}, {"azp": "other"},
        {"iss": TWO}, {"exp": SECONDS - 60, "iat": SECONDS - 100}, {"sub": ""}, {"typ": "Bearer"}, {"events": {}},
    ]  # fmt: skip
    for changes in wrong:
        with pytest.raises(Unauthenticated):
            read_id_token(sign(id_claims(**changes), header(typ="JWT")), issuer, keys, "n", SECONDS)
    for token, nonce in ((sign(id_claims(), header(typ="JWT"), RSA_TWO), "n"), (right, ""), (sign(), "n")):
        with pytest.raises(Unauthenticated):
            read_id_token(token, issuer, keys, nonce, SECONDS)


def test_a_claim_is_found_by_its_name_or_its_path() -> None:
    tree = {"https://x.example/roles": ["a"], "realm_access": {"roles": ["b"]}, "r": {"my.app": {"roles": ["c"]}}}
    assert claim_at(tree, "https://x.example/roles") == ["a"]
    assert claim_at(tree, "realm_access.roles") == ["b"]
    assert claim_at(tree, "/r/my.app/roles") == ["c"]
    assert claim_at(tree, "realm_access.roles.x") is None
    assert values_at({"scope": "a b", "x": {"scp": ["c"]}}, ["scope", "x.scp", "none"]) >= {"a", "b", "c"}
    with pytest.raises(InvalidInput):
        values_at({"roles": "a b"}, ["roles"])


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://one.example"}, {"issuer": "http://127.0.0.1:1"}, {"issuer": "https://one.example?x=1"},
        {"issuer": "https://u@one.example"}, {"issuer": "ftp://one.example"}, {"issuer": "https://tocsin.example/a"},
        {"audiences": ()}, {"audiences": ("portal",)}, {"algorithms": ("HS256",)}, {"algorithms": ()},
        {"name": "Not A Name"}, {"permissions": frozenset({Permission.USER_READ})}, {"authority": "no certificate"},
        {"role_map": {"a": "b"}}, {"title": "x\ny"},
    ],
)  # fmt: skip
def test_a_description_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    right: dict[str, Any] = {
        "tenant_id": 1, "name": "one", "issuer": ONE, "audiences": (AUDIENCE,), "client_id": "portal",
    }  # fmt: skip
    own = ["https://tocsin.example"]
    assert checked(ForeignIssuer(**right), own)
    with pytest.raises(InvalidInput):
        checked(ForeignIssuer(**{**right, **changes}), own)
