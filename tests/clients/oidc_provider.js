// The certified OpenID provider `oidc-provider`, unmodified, without TLS on this machine.
// Arguments: port, address people come back to, audience of the API. A line on stdin gives it a new signing key.
// Answers with one line of JSON for everything that is done.
const { generateKeyPairSync, randomUUID } = require('crypto')
const readline = require('readline')
const { pathToFileURL } = require('url')

const [port, back, audience] = process.argv.slice(2)
console.info = console.warn = () => {} // its notices
const issuer = `http://127.0.0.1:${port}`
const keys = []
const served = {}
let server

function newKey(algorithm) {
  const made = algorithm === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...made.privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: algorithm }
}

const client = (id, more) => ({
  client_id: id,
  client_secret: `${id}-secret`,
  redirect_uris: [],
  response_types: [],
  grant_types: ['client_credentials'],
  scope: 'openid profile email Incident.Read.All Incident.Read api.read',
  ...more
})

async function start(algorithm) {
  const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href)
  keys.unshift(newKey(algorithm))
  const provider = new Provider(issuer, {
    clients: [
      client('siem'),
      client('stranger'),
      client('portal', {
        redirect_uris: [back],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        id_token_signed_response_alg: algorithm
      })
    ],
    jwks: { keys },
    scopes: ['openid', 'profile', 'email', 'Incident.Read.All', 'Incident.Read', 'api.read'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'], email: ['email'] },
    conformIdTokenClaims: false,
    cookies: { keys: ['cookie key of a test'] },
    findAccount: async (_, id) => ({
      accountId: id,
      claims: async () => ({
        sub: id, name: `Name of ${id}`, preferred_username: `${id}@corp.example`, groups: ['soc', 'all']
      })
    }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: async (_, resource) => ({
          scope: 'Incident.Read.All Incident.Read api.read',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 3600,
          jwt: { sign: { alg: algorithm } }
        }),
        defaultResource: async (context) => context.oidc?.params?.resource,
        useGrantedResource: async () => false
      }
    }
  })
  const handle = provider.callback()
  server = require('http').createServer((request, response) => {
    served[request.url] = (served[request.url] || 0) + 1
    handle(request, response)
  })
  await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve))
  console.log(JSON.stringify({ issuer, kid: keys[0].kid, served, audience }))
}

readline.createInterface({ input: process.stdin }).on('line', async (word) => {
  if (word === 'served') {
    console.log(JSON.stringify(served))
    return
  }
  await new Promise((resolve) => { server.close(resolve); server.closeAllConnections() })
  if (word === 'gone') console.log(JSON.stringify({ gone: true }))
  else await start(word)
})
start('RS256')
