"""Tokens that must be refused, over HTTP: the list of `tokens.md`, and every small change of tokens that are right.

None is accepted, none is answered 500, no answer says which check failed, and no connection leaves because of one.
Numbers are printed.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from callers import OTHER_GUID, Callers, Role
from house import HandClock, native, running
from tocsin.access import Permission
from tocsin.identity.credentials import hash_secret
from tocsin.identity.jwt import read_claims
from tocsin.identity.people import Right
from tocsin.identity.signing import load_signing_keys, rotate_signing_key, withdraw_signing_key
from tocsin.stores.sqlite.connection import DATABASE_NAME, open_side_writer, transaction
from tocsin.stores.sqlite.sign_in import SignIns
from tocsin.ticks import MINUTE, SECOND

PATH: Final = "/api/incidents"
GRAPH_PATH: Final = "/v1.0/security/incidents"
MISSING: Final = object()
STRANGER: Final = "77777777-2222-4333-8444-555555555555"
AWAY: Final = "https://127.0.0.1:9/keys"
READ: Final = "Incident.Read"


class Attacker:
    """Signs whatever it likes with the server's own key, and holds right tokens of an application and of a person."""

    def __init__(self, callers: Callers, clock: HandClock) -> None:
        self.callers, self.clock, self.http = callers, clock, callers.client.http
        self.service = callers.service
        self.application = callers.application(callers.tenant, "siem", Permission.READ)
        self.user = callers.user(Role(Right.READ))
        keys = self.service.keys.at(clock())
        private = keys.signer.private_key
        assert private is not None
        self.keys, self.private = keys, private
        self.right = {"app": callers.app_token(self.application), "person": callers.user_token(self.user, READ)}
        self.claims = {name: read_claims(token, keys) for name, token in self.right.items()}
        self.header: dict[str, Any] = {"typ": "JWT", "alg": "RS256", "kid": keys.kid}

    def sign(self, header: Any, claims: Any, private: rsa.RSAPrivateKey | None = None) -> str:
        """A token with a signature over whatever it is given: objects without what is MISSING, or the bytes."""
        signed = ".".join(b64(_bytes(part)) for part in (header, claims))
        return f"{signed}.{b64((private or self.private).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def send(self, *values: str | bytes, path: str = PATH, method: str = "GET", **more: Any) -> Any:
        """Ask with these Authorization headers."""
        raw = [value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value for value in values]
        return self.http.request(method, path, headers=[(b"authorization", value) for value in raw], **more)

    def bearer(self, token: str | bytes, **more: Any) -> Any:
        """Ask with this token."""
        return self.send(
            b"Bearer " + (token if isinstance(token, bytes) else token.encode("utf-8", "surrogatepass")), **more
        )


def _bytes(part: Any) -> bytes:
    if isinstance(part, bytes):
        return part
    return json.dumps({name: value for name, value in part.items() if value is not MISSING}).encode()


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.fixture
def attacker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attacker]:
    """No connection may leave while it is at work."""
    clock = HandClock()
    with running(tmp_path, clock, quota_per_minute=10**6, quota_get_per_minute=10**6, quota_per_hour=10**6) as client:
        client.ingest(native(1))
        callers = Callers(client)
        found = Attacker(callers, clock)

        def refuse(*_: object, **__: object) -> NoReturn:
            left.append(1)
            raise OSError("a connection was tried")

        left: list[int] = []
        for owner, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
            monkeypatch.setattr(owner, name, refuse)
        with pytest.raises(OSError, match="a connection was tried"):
            socket.create_connection(("127.0.0.1", 9))
        assert left
        left.clear()
        yield found
        assert not left
        callers.close()


def refused(answer: Any, status: int = 401) -> None:
    """With the same few words whatever was wrong."""
    assert answer.status_code == status, answer.text
    if status == 401:
        assert answer.json()["error"]["message"] == "The authorization header is missing, invalid or expired."


def test_right_tokens_are_accepted_beside_all_that_is_refused(attacker: Attacker) -> None:
    for name, token in attacker.right.items():
        assert attacker.bearer(token).status_code == 200
        assert attacker.bearer(attacker.sign(attacker.header, attacker.claims[name])).status_code == 200
    assert attacker.send(attacker.right["app"]).status_code == 200, "a public client sends it bare"


def test_an_absent_doubled_or_misplaced_token_is_refused(attacker: Attacker) -> None:
    token = attacker.right["app"]
    refused(attacker.send())
    refused(attacker.send(f"Bearer {token}", f"Bearer {token}"))
    refused(attacker.send(f"Bearer {token}", ""))
    for name in ("access_token", "token", "authorization", "bearer"):
        refused(attacker.http.get(f"{PATH}?{name}={token}"))
        refused(attacker.http.get(PATH, headers={"cookie": f"{name}={token}"}))
        refused(attacker.http.get(PATH, headers={f"x-{name}": token, "proxy-authorization": f"Bearer {token}"}))
    refused(attacker.http.request("PATCH", PATH, content=f"access_token={token}".encode()))
    for scheme in ("Basic", "Token", "Bearer:", "Bearer Bearer", "MAC", "Negotiate"):
        refused(attacker.send(f"{scheme} {token}"))


def _attacks(attacker: Attacker) -> dict[str, str]:
    """The list, as tokens whose signature is right wherever it can be."""
    header, claims = attacker.header, attacker.claims["app"]
    guid, base_url = attacker.callers.tenant.guid, attacker.service.names.base_url

    def with_header(**changes: Any) -> str:
        return attacker.sign({**header, **changes}, claims)

    def with_claims(**changes: Any) -> str:
        return attacker.sign(header, {**claims, **changes})

    found = {
        f"alg {alg}": with_header(alg=alg) for alg in ("none", "None", "nOnE", "NONE", "", "HS256", "RS512", "ES256")
    }
    found |= {f"unsigned {alg}": with_header(alg=alg).rpartition(".")[0] + "." for alg in ("none", "None", "RS256")}
    signed = f"{b64(_bytes({**header, 'alg': 'HS256'}))}.{b64(_bytes(claims))}"
    public = (("PEM", Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), ("DER", Encoding.DER, PublicFormat.PKCS1))
    for label, form, kind in public:
        mac = hmac.HMAC(attacker.private.public_key().public_bytes(form, kind), hashes.SHA256())
        mac.update(signed.encode())
        found[f"HS256 with the public key, {label}"] = f"{signed}.{b64(mac.finalize())}"
    unsigned = f"{b64(_bytes({**header, 'alg': 'ES256'}))}.{b64(_bytes(claims))}"
    found["ES256 with r = s = 0"] = f"{unsigned}.{b64(bytes(64))}"
    kids: dict[str, Any] = {
        "a path": "../keys/x",
        "SQL": "' OR 1=1 --",
        "a number": 7,
        "64 KB": "k" * 65_536,
        "absent": MISSING,
    }
    found |= {f"kid {name}": with_header(kid=kid) for name, kid in kids.items()}
    for name, value in (("jku", AWAY), ("x5u", AWAY), ("jwk", {"kty": "RSA"}), ("x5c", ["AAAA"]), ("zip", "DEF"),
                        ("b64", False), ("crit", ["x"]), ("cty", "JWT"), ("enc", "A256GCM")):  # fmt: skip
        found[f"{name} in the header"] = with_header(**{name: value})
    found["critical b64"] = with_header(b64=False, crit=["b64"])
    found["a nested token"] = attacker.sign({**header, "cty": "JWT"}, attacker.right["app"].encode())
    found["a JWE"] = ".".join(b64(part) for part in (b'{"alg":"RSA-OAEP","enc":"A256GCM"}', b"k", b"iv", b"c", b"t"))
    issuers: dict[str, Any] = {
        "another host": f"https://evil.example/{guid}/v2.0", "a slash": f"{base_url}/{guid}/v2.0/",
        "a list": [f"{base_url}/{guid}/v2.0"], "another tenant": f"{base_url}/{OTHER_GUID}/v2.0",
        "Entra ID": f"https://sts.windows.net/{guid}/", "version 1": f"{base_url}/{guid}/",
    }  # fmt: skip
    found |= {f"iss of {name}": with_claims(iss=issuer) for name, issuer in issuers.items()}
    own = claims["aud"]
    for name, audience in (("by prefix", own[:-1]), ("with more", f"{own}.evil.example"), ("in capitals", own.upper()),
                           ("an empty list", []), ("a list", [own]), ("a client's", STRANGER)):  # fmt: skip
        found[f"aud {name}"] = with_claims(aud=audience)
    for name, tid in (("missing", MISSING), ("unknown", STRANGER), ("of another", OTHER_GUID)):
        found[f"tid {name}"] = with_claims(tid=tid)
    found["tid and iss of another tenant"] = with_claims(tid=OTHER_GUID, iss=f"{base_url}/{OTHER_GUID}/v2.0")
    now = attacker.clock() // SECOND
    for name, exp in (("past skew", now - 61), ("absent", MISSING), ("null", None), ("text", str(now + 60)),
                      ("NaN", math.nan), ("10^40", 10**40), ("a fraction", now + 60.5)):  # fmt: skip
        found[f"exp {name}"] = with_claims(exp=exp)
    found["exp past skew in order"] = with_claims(iat=now - 3700, nbf=now - 3700, exp=now - 60)
    found["an ID token"] = with_claims(aud=claims["azp"], idtyp=MISSING, roles=MISSING, nonce="n")
    found["an ID token for us"] = with_claims(idtyp=MISSING, roles=MISSING, nonce="n")
    found["a logout token"] = with_claims(
        events={"http://schemas.openid.net/event/backchannel-logout": {}}, idtyp=MISSING
    )
    found["roles as text"] = with_claims(roles="Incident.Read.All")
    found["scp beside roles"] = with_claims(scp=READ)
    found["an app role in scp alone"] = with_claims(roles=MISSING, scp="Incident.Read.All")
    found["64 KB"] = with_claims(x="a" * 49_000)
    found["1 MB"] = with_claims(x="a" * 786_000)
    found["5,000 levels"] = attacker.sign(
        header, json.dumps(claims)[:-1].encode() + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}"
    )
    return found


def test_every_attack_on_the_list_is_refused_in_the_same_words(attacker: Attacker) -> None:
    attacks = _attacks(attacker)
    answers = Counter[str]()
    for name, token in attacks.items():
        answer = attacker.bearer(token)
        assert answer.status_code == 401, f"{name}: {answer.status_code}"
        refused(answer)
        answers[str(answer.json()["error"] | {"target": ""})] += 1
        assert attacker.bearer(token, path=GRAPH_PATH).status_code == 401, name
    assert len(answers) == 1, "an answer says more than the others"
    print(f"attacks: {len(attacks)} refused twice")


def test_a_known_caller_without_the_permission_is_forbidden(attacker: Attacker) -> None:
    sign, header, app, person = attacker.sign, attacker.header, attacker.claims["app"], attacker.claims["person"]
    for token in (
        sign(header, {**app, "roles": []}),
        sign(header, {**app, "roles": [READ]}),
        sign(header, {**app, "roles": ["incident.read.all"]}),
        sign(header, {**person, "scp": ""}),
        sign(header, {**person, "scp": "Incident.Read.All"}),
        sign(header, {**person, "scp": "Alert.Ingest.All Incident.ReadWrite.All"}),
    ):
        refused(attacker.bearer(token), 403)
    for name in ("app", "person"):
        for path in (f"{PATH}/1", f"{GRAPH_PATH}/1"):
            assert attacker.bearer(attacker.right[name], method="PATCH", path=path, content=b"{}").status_code == 403
    grown = sign(header, {**person, "scp": "Incident.ReadWrite"})
    assert attacker.bearer(grown, method="PATCH", path=f"{PATH}/1", content=b"{}").status_code == 403


def test_what_a_sign_in_gives_beside_the_access_token_opens_nothing(attacker: Attacker) -> None:
    desktop, path = attacker.callers.desktop[1], f"/{attacker.callers.tenant.guid}/oauth2/v2.0"
    asked = {"client_id": desktop.app_id, "scope": f"{attacker.claims['person']['aud']}/.default openid offline_access"}
    begun = attacker.http.post(f"{path}/devicecode", data=asked).json()
    connection = open_side_writer(attacker.service.settings.data_dir / DATABASE_NAME)
    code = hash_secret(begun["device_code"])
    with transaction(connection):
        store = SignIns(connection)
        pending = store.find_pending(code)
        assert pending is not None
        store.keep_pending(code, msgspec.structs.replace(pending, user_id=attacker.user.user_id))
    connection.close()
    form = {**asked, "grant_type": "device_code", "device_code": begun["device_code"]}
    given = attacker.http.post(f"{path}/token", data=form).json()
    assert attacker.bearer(given["access_token"]).status_code == 200
    for name in ("id_token", "refresh_token"):
        refused(attacker.bearer(given[name]))
    refused(attacker.bearer(begun["device_code"]))
    cookie = attacker.callers.cookie(attacker.user)
    refused(attacker.bearer(cookie.partition("=")[2]))
    refused(attacker.http.get(PATH, headers={"cookie": cookie}))


@pytest.mark.parametrize("what", ["app", "user", "their program", "signed out", "key", "signing key", "role"])
def test_who_or_what_was_taken_back_opens_nothing_after_a_minute(attacker: Attacker, what: str) -> None:
    callers, tenant_id, now = attacker.callers, attacker.callers.tenant.tenant_id, attacker.clock()
    token = attacker.right["app" if what in ("app", "signing key") else "person"]
    token = callers.client.key if what == "key" else token
    path, method = ("/ingest/refused", "GET") if what == "key" else (PATH, "GET")
    assert attacker.bearer(token, path=path, method=method).status_code == 200
    status = 401
    if what == "app":
        callers.registry.disable_application(tenant_id, attacker.application.app_id, now)
    elif what == "user":
        callers.people.disable_user(tenant_id, attacker.user.user_id, now)
    elif what == "their program":
        callers.registry.disable_application(tenant_id, callers.desktop[tenant_id].app_id, now)
    elif what == "signed out":
        callers.people.sign_out(tenant_id, attacker.user.user_id, now + SECOND)
    elif what == "key":
        callers.registry.disable_ingest_key(tenant_id, token.split("_")[1], now)
    elif what == "role":
        callers.people.set_roles(tenant_id, attacker.user.user_id, [])
        status = 403
    else:
        folder = attacker.service.settings.data_dir
        rotate_signing_key(folder, 60, now + SECOND)
        withdraw_signing_key(folder, attacker.keys.kid, now + SECOND)
    attacker.clock.at += MINUTE
    refused(attacker.bearer(token, path=path, method=method), status)


def test_a_strangers_key_is_refused_however_the_header_points_to_it(attacker: Attacker, tmp_path: Path) -> None:
    stranger = load_signing_keys(tmp_path / "stranger", attacker.clock())
    private = stranger.signer.private_key
    assert private is not None
    (public,) = stranger.jwks("https://tocsin.example")["keys"]
    for changes in ({}, {"kid": stranger.kid}, {"jwk": public}, {"kid": stranger.kid, "jwk": public}, {"jku": AWAY},
                    {"x5u": AWAY}, {"x5c": public.get("x5c", ["AAAA"])}):  # fmt: skip
        refused(attacker.bearer(attacker.sign({**attacker.header, **changes}, attacker.claims["app"], private)))


def _other_values(right: Any) -> Iterator[Any]:
    """What a claim might be instead."""
    yield from (
        MISSING,
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**40,
        math.nan,
        "",
        " ",
        [],
        {},
        [None],
        [[right]],
        {"a": right},
    )
    if isinstance(right, list):
        for inner in right:
            yield from ([each] for each in _other_values(inner) if each is not MISSING)
        yield " ".join(right)
        return
    text = str(right)
    yield [right]
    yield from (text.upper(), text.lower(), text.swapcase(), text[:-1], text[1:], f"{text}x", f"x{text}", f" {text}x")
    yield from (f"{text}\x00", f"{text}/", f"{text}#", text.replace(text[-1:], f"%{ord(text[-1]):02x}"), text * 2)
    yield from (text.translate({ord(a): b for a, b in zip("aceiopx", "асеіорх", strict=True)}), f"{text}\u200b")
    yield from (text.replace(text[0], chr(ord(text[0]) + 0xFEE0), 1), text * 40, "\ud800", "é" * 2_000)
    if isinstance(right, int):
        yield from (float(right), right * 10, right // 10, -right, str(right), right + 10**9)


_CHECKED: Final = frozenset(
    {"aud", "iss", "iat", "nbf", "exp", "azp", "idtyp", "oid", "sub", "roles", "scp", "tid", "ver"}
)


def _claim_changes(attacker: Attacker) -> Iterator[tuple[str, str, bool]]:
    """(what, token, whether it must be refused): a claim that nothing is decided by may be anything."""
    aliases = attacker.service.names.audiences()
    for kind, claims in attacker.claims.items():
        for name, right in claims.items():
            for number, wrong in enumerate(_other_values(right)):
                is_alias = name == "aud" and isinstance(wrong, str) and wrong in aliases
                if not is_alias and (wrong != right or isinstance(wrong, bool | float)):
                    changed = attacker.sign(attacker.header, {**claims, name: wrong})
                    yield f"{kind} {name} {number} {str(wrong)[:40]!r}", changed, name in _CHECKED


def _header_changes(attacker: Attacker) -> Iterator[tuple[str, str, bool]]:
    claims = attacker.claims["app"]
    values: dict[str, list[Any]] = {name: list(_other_values(right)) for name, right in attacker.header.items()}
    values["alg"] += [
        "none",
        "HS256",
        "HS384",
        "RS384",
        "RS512",
        "PS256",
        "ES256",
        "EdDSA",
        "dir",
        "RSA-OAEP",
        "RS256 ",
    ]
    values["kid"] += ["../../keys/x.pem", "/dev/null", "' OR 1=1 --", "k" * 300, ["k"], "\x00"]
    values["typ"] += ["at+jwt", "logout+jwt", "refresh+jwt", "JWE", "JWT "]
    for name in (
        "crit",
        "b64",
        "zip",
        "jku",
        "x5u",
        "jwk",
        "x5c",
        "x5t",
        "x5t#S256",
        "cty",
        "enc",
        "apu",
        "p2c",
        "nonce",
    ):
        values[name] = [
            None,
            True,
            False,
            "",
            AWAY,
            "DEF",
            [],
            [name],
            ["exp"],
            {},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            10**40,
        ]
    for name, wrongs in values.items():
        for number, wrong in enumerate(wrongs):
            if wrong != attacker.header.get(name, MISSING):
                yield (
                    f"header {name} {number} {str(wrong)[:40]!r}",
                    attacker.sign({**attacker.header, name: wrong}, claims),
                    True,
                )


def _segment_changes(attacker: Attacker) -> Iterator[tuple[str, str, bool]]:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for kind, token in attacker.right.items():
        parts = token.split(".")
        for at, part in enumerate(parts):
            twin = part[:-1] + alphabet[alphabet.index(part[-1]) ^ 1]
            first, rest = part[:9], part[9:]
            changes = [
                "", part[:-1], part[1:], part[:-4], part[: len(part) // 2], part + "=", part + "==", part + "A",
                part * 2, f" {part}A", f"{first} {rest}", f"{first}\t{rest}", f"{first}\n{rest}", f"{first}=",
                f"{first}%41{rest}", f"{first}é{rest}", f"{first}\x00{rest}", part.swapcase(), part[::-1], twin,
                part.replace("-", "+").replace("_", "/") + "+", "A" * len(part), "." + part, part + ".",
            ]  # fmt: skip
            for number, changed in enumerate(changes):
                yield f"{kind} segment {at} change {number}", ".".join([*parts[:at], changed, *parts[at + 1 :]]), True
        for order in itertools.product(range(3), repeat=3):
            if order != (0, 1, 2):
                yield f"{kind} segments {order}", ".".join(parts[each] for each in order), True
    app, person = (attacker.right[kind].split(".") for kind in ("app", "person"))
    for mask in itertools.product((0, 1), repeat=3):
        mixed = [(app, person)[chosen][at] for at, chosen in enumerate(mask)]
        if mixed not in (app, person) and (mixed[1:] != app[1:] and mixed[1:] != person[1:]):
            yield f"segments mixed {mask}", ".".join(mixed), True


@pytest.mark.parametrize("changes", [_claim_changes, _header_changes, _segment_changes])
def test_no_small_change_of_a_right_token_is_accepted(
    attacker: Attacker, changes: Callable[[Attacker], Iterator[tuple[str, str, bool]]]
) -> None:
    statuses, wrong = Counter[int](), []
    harmless = 0
    for what, token, must_be_refused in changes(attacker):
        answer = attacker.bearer(token)
        if must_be_refused:
            statuses[answer.status_code] += 1
            if answer.status_code not in (401, 403):
                wrong.append(f"{what}: {answer.status_code}")
        else:
            harmless += 1
            assert answer.status_code in (200, 401), what
    print(f"{changes.__name__}: {dict(statuses)}, and {harmless} changes of what decides nothing")
    assert not wrong, "\n".join(wrong)
    assert sum(statuses.values()) > 100
