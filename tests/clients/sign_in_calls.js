// Every flow that @azure/msal-node and @azure/identity have for this issuer. Prints what came of each as JSON.
// Arguments: as of sign_in_calls.py, then a Python and browsing.py, which stand for a person with a browser.
"use strict";

const { execFile } = require("node:child_process");
const fs = require("node:fs");
const crypto = require("node:crypto");
const { promisify } = require("node:util");
const msal = require("@azure/msal-node");
const identity = require("@azure/identity");

const SECURITY = "https://api.security.microsoft.com";
const GRAPH = "https://graph.microsoft.com";
const PLACES = { [SECURITY]: "/api/incidents", [GRAPH]: "/v1.0/security/incidents" };
const CALLBACK = "http://localhost:51234";

async function main(base, tenant, app, secret, pem, publicApp, _ca, python, browsing) {
  const told = {};
  const authority = `${base}/${tenant}`;
  const knownAuthorities = [new URL(base).host];
  const browse = async (handOver, ...given) => {
    const env = { ...process.env };
    if (handOver) env.HAND_OVER = "1";
    const done = await promisify(execFile)(python, [browsing, ...given], { env });
    return done.stdout.trim();
  };
  const use = async (name, resource, token) => {
    const answer = await fetch(base + PLACES[resource], { headers: { authorization: `Bearer ${token}` } });
    told[`${name} ${resource === GRAPH ? "graph" : "defender"}`] = answer.status;
  };
  const codeOf = (address) => new URL(address).searchParams.get("code");

  const text = fs.readFileSync(pem, "utf8");
  const thumbprintSha256 = new crypto.X509Certificate(text).fingerprint256.replaceAll(":", "");
  const confidential = {
    secret: { clientSecret: secret },
    certificate: { clientCertificate: { thumbprintSha256, privateKey: text } },
  };
  for (const [name, credential] of Object.entries(confidential)) {
    const client = new msal.ConfidentialClientApplication({
      auth: { clientId: app, authority, knownAuthorities, ...credential },
    });
    for (const resource of Object.keys(PLACES)) {
      const got = await client.acquireTokenByClientCredential({ scopes: [`${resource}/.default`] });
      await use(`msal ${name}`, resource, got.accessToken);
    }
  }

  for (const resource of Object.keys(PLACES)) {
    const scopes = [`${resource}/.default`];
    const client = new msal.PublicClientApplication({ auth: { clientId: publicApp, authority, knownAuthorities } });
    const { verifier, challenge } = await new msal.CryptoProvider().generatePkceCodes();
    const address = await client.getAuthCodeUrl({
      scopes, redirectUri: CALLBACK, codeChallenge: challenge, codeChallengeMethod: "S256",
    });
    const code = codeOf(await browse(false, address));
    const got = await client.acquireTokenByCode({ scopes, redirectUri: CALLBACK, code, codeVerifier: verifier });
    await use("msal code", resource, got.accessToken);
    told["msal account"] = got.account.username;
    told["msal cached"] = (await client.acquireTokenSilent({ scopes, account: got.account })).fromCache;
    const fresh = await client.acquireTokenSilent({ scopes, account: got.account, forceRefresh: true });
    await use("msal refresh", resource, fresh.accessToken);
    const device = await client.acquireTokenByDeviceCode({
      scopes, deviceCodeCallback: (shown) => void browse(false, shown.verificationUri, shown.userCode),
    });
    await use("msal device", resource, device.accessToken);
    const interactive = await client.acquireTokenInteractive({
      scopes, openBrowser: async (page) => void browse(true, page),
    });
    await use("msal interactive", resource, interactive.accessToken);
  }

  const options = { authorityHost: base, disableInstanceDiscovery: true };
  for (const resource of Object.keys(PLACES)) {
    const scope = `${resource}/.default`;
    const credentials = {
      secret: new identity.ClientSecretCredential(tenant, app, secret, options),
      certificate: new identity.ClientCertificateCredential(tenant, app, pem, options),
      device: new identity.DeviceCodeCredential({
        ...options, tenantId: tenant, clientId: publicApp,
        userPromptCallback: (shown) => void browse(false, shown.verificationUri, shown.userCode),
      }),
    };
    for (const [name, credential] of Object.entries(credentials)) {
      await use(`azure ${name}`, resource, (await credential.getToken(scope)).token);
    }
    const query = new URLSearchParams({
      client_id: app, response_type: "code", redirect_uri: CALLBACK, scope: `${scope} offline_access`,
    });
    const code = codeOf(await browse(false, `${authority}/oauth2/v2.0/authorize?${query}`));
    const credential = new identity.AuthorizationCodeCredential(tenant, app, secret, code, CALLBACK, options);
    await use("azure code", resource, (await credential.getToken(scope)).token);
  }
  return told;
}

main(...process.argv.slice(2)).then(
  (told) => console.log(JSON.stringify(told)),
  (error) => { console.error(error); process.exitCode = 1; },
);
