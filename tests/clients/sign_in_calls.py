"""Every flow that MSAL Python and azure-identity (sync and aio) have for this issuer. Prints what came of each as JSON.

Arguments: base URL, tenant, application with a secret and a certificate, its secret, the file of key and certificate,
public application, certificate authority. A person's name and password are in the environment (`browsing.py`).
"""
# mypy: ignore-errors

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import msal
from azure.identity import (
    AuthorizationCodeCredential,
    CertificateCredential,
    ClientSecretCredential,
    DeviceCodeCredential,
    InteractiveBrowserCredential,
    aio,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes

BROWSING = Path(__file__).with_name("browsing.py")
SECURITY, GRAPH = "https://api.security.microsoft.com", "https://graph.microsoft.com"
CALLBACK = "http://localhost:51234"
PLACES = {SECURITY: "/api/incidents", GRAPH: "/v1.0/security/incidents"}


def browse(*arguments: str, **environment: str) -> str:
    """What a person does with a browser."""
    command = [sys.executable, str(BROWSING), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **environment}
    ).stdout.strip()


class Calls:
    def __init__(self, *given: str) -> None:
        base, tenant, app, secret, pem, public, ca = given
        self.base, self.tenant, self.app, self.secret = base, tenant, app, secret
        self.pem, self.public, self.ca, self.told = pem, public, ca, {}
        self.authority = f"{base}/{tenant}"
        self.azure = {"authority": base, "connection_verify": ca, "disable_instance_discovery": True}

    def use(self, name: str, resource: str, token: str) -> None:
        """Note what a token opens."""
        answer = httpx.get(
            self.base + PLACES[resource], headers={"authorization": f"Bearer {token}"}, verify=self.ca, trust_env=False
        )
        dialect = "graph" if resource == GRAPH else "defender"
        self.told[f"{name} {dialect}"] = answer.status_code

    def applications(self) -> None:
        text = Path(self.pem).read_text()
        sha1 = x509.load_pem_x509_certificate(text.encode()).fingerprint(hashes.SHA1()).hex()
        chain = {"private_key": text, "public_certificate": text[text.index("-----BEGIN CERTIFICATE") :]}
        credentials = {
            "secret": self.secret,
            "certificate": {"private_key": text, "thumbprint": sha1},
            "certificate with chain": {**chain, "thumbprint": None}
            | {"public_certificate": chain["public_certificate"]},
        }
        credentials["certificate with chain"].pop("thumbprint")
        for name, credential in credentials.items():
            client = msal.ConfidentialClientApplication(
                self.app,
                client_credential=credential,
                authority=self.authority,
                verify=self.ca,
                instance_discovery=False,
            )
            for resource in PLACES:
                got = client.acquire_token_for_client([f"{resource}/.default"])
                self.use(f"msal {name}", resource, got.get("access_token") or str(got))
        for resource in PLACES:
            scope = f"{resource}/.default"
            with ClientSecretCredential(self.tenant, self.app, self.secret, **self.azure) as credential:
                self.use("azure secret", resource, credential.get_token(scope).token)
            for chained in (False, True):
                with CertificateCredential(
                    self.tenant, self.app, self.pem, send_certificate_chain=chained, **self.azure
                ) as credential:
                    self.use(f"azure certificate {chained}", resource, credential.get_token(scope).token)

    def people_msal(self) -> None:
        for resource in PLACES:
            client = msal.PublicClientApplication(
                self.public, authority=self.authority, verify=self.ca, instance_discovery=False
            )
            scopes = [f"{resource}/.default"]
            got = client.acquire_token_interactive(scopes, timeout=60)
            self.use("msal interactive", resource, got.get("access_token") or str(got))
            account = client.get_accounts()[0]
            self.told["msal account"] = account["username"]
            kept = client.acquire_token_silent(scopes, account)
            self.told["msal cached"] = kept is not None and kept["token_source"] == "cache"
            fresh = client.acquire_token_silent(scopes, account, force_refresh=True)
            self.use("msal refresh", resource, fresh["access_token"])
            other = GRAPH if resource == SECURITY else SECURITY
            self.use(
                "msal refresh for the other",
                other,
                client.acquire_token_silent([f"{other}/.default"], account)["access_token"],
            )
            flow = client.initiate_device_flow(scopes)
            browse(flow["verification_uri"], flow["user_code"])
            self.use("msal device", resource, client.acquire_token_by_device_flow(flow)["access_token"])
            begun = client.initiate_auth_code_flow(scopes, redirect_uri=CALLBACK, response_mode="query")
            reached = parse_qs(urlsplit(browse(begun["auth_uri"])).query)
            response = {name: values[0] for name, values in reached.items()}
            got = client.acquire_token_by_auth_code_flow(begun, response)
            self.use("msal code", resource, got.get("access_token") or str(got))

    def people_azure(self) -> None:
        for resource in PLACES:
            scope = f"{resource}/.default"
            with DeviceCodeCredential(
                self.public,
                tenant_id=self.tenant,
                prompt_callback=lambda address, code, _: browse(address, code),
                **self.azure,
            ) as credential:
                self.use("azure device", resource, credential.get_token(scope).token)
            with InteractiveBrowserCredential(
                tenant_id=self.tenant, client_id=self.public, redirect_uri="http://localhost:51299", **self.azure
            ) as credential:
                self.use("azure interactive", resource, credential.get_token(scope).token)
            with AuthorizationCodeCredential(
                self.tenant, self.app, self.code(scope), CALLBACK, client_secret=self.secret, **self.azure
            ) as credential:
                self.use("azure code", resource, credential.get_token(scope).token)

    def code(self, scope: str) -> str:
        """A code for the application with a secret, which goes without PKCE."""
        query = httpx.QueryParams(
            client_id=self.app,
            response_type="code",
            redirect_uri=CALLBACK,
            scope=f"{scope} offline_access",
        )
        reached = browse(f"{self.authority}/oauth2/v2.0/authorize?{query}")
        return parse_qs(urlsplit(reached).query)["code"][0]

    async def asynchronous(self) -> None:
        for resource in PLACES:
            scope = f"{resource}/.default"
            async with aio.ClientSecretCredential(self.tenant, self.app, self.secret, **self.azure) as credential:
                self.use("aio secret", resource, (await credential.get_token(scope)).token)
            async with aio.CertificateCredential(self.tenant, self.app, self.pem, **self.azure) as credential:
                self.use("aio certificate", resource, (await credential.get_token(scope)).token)
            async with aio.AuthorizationCodeCredential(
                self.tenant, self.app, self.code(scope), CALLBACK, client_secret=self.secret, **self.azure
            ) as credential:
                self.use("aio code", resource, (await credential.get_token(scope)).token)


os.environ["BROWSER"] = f"env HAND_OVER=1 {shlex.quote(sys.executable)} {shlex.quote(str(BROWSING))} %s &"
calls = Calls(*sys.argv[1:8])
calls.applications()
calls.people_msal()
calls.people_azure()
asyncio.run(calls.asynchronous())
print(json.dumps(calls.told))
