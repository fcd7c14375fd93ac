// What a program over @azure/msal-node and Microsoft's Graph client does: sign in, list, page, get one, update one.
// Arguments: base URL, tenant, application, secret. Prints one line of JSON. The authority to trust is
// NODE_EXTRA_CA_CERTS, and the packages are found by NODE_PATH.
"use strict";

const { ConfidentialClientApplication } = require("@azure/msal-node");
const { Client, PageIterator } = require("@microsoft/microsoft-graph-client");

async function main(base, tenant, clientId, clientSecret) {
  const authority = `${base}/${tenant}`;
  const app = new ConfidentialClientApplication({
    auth: { clientId, clientSecret, authority, knownAuthorities: [new URL(base).host] },
  });
  const scopes = ["https://graph.microsoft.com/.default"];
  const first = await app.acquireTokenByClientCredential({ scopes });
  const again = await app.acquireTokenByClientCredential({ scopes });
  const graph = Client.init({
    baseUrl: base,
    customHosts: new Set([new URL(base).hostname]),
    authProvider: (done) => done(null, first.accessToken),
  });
  const told = { cached: again.fromCache, ids: [] };
  const page = await graph
    .api("/security/incidents").top(2).expand("alerts").count(true)
    .filter("status eq 'active'").orderby("createdDateTime asc").get();
  told.count = page["@odata.count"];
  told.linked = Boolean(page["@odata.nextLink"]);
  await new PageIterator(graph, page, (incident) => {
    told.ids.push([incident.id, incident.alerts.length]);
    return true;
  }).iterate();
  const one = await graph.api("/security/incidents/1").get();
  told.one = one.displayName;
  const updated = await graph
    .api("/security/incidents/1")
    .patch({ status: "inProgress", classification: "truePositive", determination: "malware", customTags: ["node"] });
  told.updated = [updated.status, updated.classification, updated.determination, updated.customTags];
  told.selected = await graph.api("/security/incidents").version("beta").select(["id", "status"]).top(1).get()
    .then((answer) => answer.value);
  try {
    await graph.api("/security/incidents/999").get();
  } catch (error) {
    told.error = [error.statusCode, error.code];
  }
  const wrong = new ConfidentialClientApplication({
    auth: { clientId, clientSecret: "wrong", authority, knownAuthorities: [new URL(base).host] },
  });
  try {
    await wrong.acquireTokenByClientCredential({ scopes });
  } catch (error) {
    told.refused = [error.errorCode, error.errorNo, error.message.includes("AADSTS7000215")];
  }
  return told;
}

main(...process.argv.slice(2)).then(
  (told) => console.log(JSON.stringify(told)),
  (error) => { console.error(error); process.exitCode = 1; },
);
