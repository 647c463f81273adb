// A real authorization server (oidc-provider) on a free port of 127.0.0.1.
//
//   node server.mjs '{"redirect": "http://127.0.0.1:1/callback", "certificate": PEM, "key": PEM, "offset": SECONDS}'
//
// With a certificate it serves https. `offset` is how far its clock is ahead. It prints its issuer as one line, then
// takes commands on standard input, one JSON object a line, and answers each with one line:
//
//   {"op": "resource", "url", "format": "jwt"|"opaque", "firstSeconds"}   is a resource server from now on
//   {"op": "rotate", "keep": true|false}         signs with a new key; false withdraws the former keys
//   {"op": "issued"}                             all tokens and secrets that it ever handed out
//   {"op": "registered"}                         the clients that registered themselves
//   {"op": "client", "id", "secret", "redirect"} is a client from now on, of OpenID Connect
//   {"op": "claims", "user", "claims"}           what id tokens say of a user, besides `sub`

import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createInterface } from 'node:readline';

import { exportJWK, generateKeyPair } from 'jose';
import { Provider, errors } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';

const SCOPES = 'users:read users:write audit';
const options = JSON.parse(process.argv[2]);
const secure = options.certificate !== undefined;
const resources = new Map();
const issued = new Set();
const registered = [];
console.info = console.log = console.error; // standard output is for the answers alone
const now = Date.now;
Date.now = () => now() + (options.offset ?? 0) * 1000;

const usual = { redirect_uris: [options.redirect], application_type: 'native', grant_types: ['authorization_code', 'refresh_token'] };
const CLIENTS = [
  { ...usual, client_id: 'pre-registered', client_secret: 'canary-secret-of-the-pre-registered-client' },
  { ...usual, client_id: 'public', token_endpoint_auth_method: 'none' },
  { ...usual, client_id: 'without-refresh', token_endpoint_auth_method: 'none', grant_types: ['authorization_code'] },
  { client_id: 'gateway', client_secret: 'canary-secret-of-the-gateway', redirect_uris: [], response_types: [], grant_types: [] },
];

const people = new Map();

/** Anyone may sign in; what is known of them was told by the command `claims`. */
const findAccount = (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...people.get(id) }) });

function resourceServer(ctx, indicator) {
  const found = resources.get(indicator);
  if (found === undefined) throw new errors.InvalidTarget();
  const isFirst = ctx.oidc.params?.grant_type !== 'refresh_token';
  return {
    scope: SCOPES,
    audience: indicator,
    accessTokenFormat: found.format,
    accessTokenTTL: isFirst ? (found.firstSeconds ?? 3600) : 3600,
    jwt: { sign: { alg: 'ES256' } },
  };
}

// Documents of clients are on loopback here, which the provider's own fetch refuses.
const fetchFromLoopback = (url, { dispatcher, ...rest }) => fetch(url, rest);

const configuration = {
  adapter: createMemoryAdapter(), // one for all providers: sign-ins and tokens survive a new key
  clients: CLIENTS,
  claims: { openid: ['sub', 'email', 'email_verified', 'groups'] },
  findAccount,
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  scopes: ['openid', 'offline_access', ...SCOPES.split(' ')], // all that a client may register for
  cookies: { keys: ['cookies-of-a-test'] },
  fetch: fetchFromLoopback,
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  pkce: { required: () => true },
  features: {
    clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
    introspection: { enabled: true, allowedPolicy: (_, client) => client.clientId === 'gateway' },
    registration: { enabled: true },
    resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer, useGrantedResource: () => true },
    revocation: { enabled: true },
  },
};

async function signingKey() {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { ...(await exportJWK(privateKey)), use: 'sig', alg: 'ES256', kid: crypto.randomUUID() };
}

/** What is handed out, so that a test can look for it elsewhere. */
async function record(ctx, next) {
  await next();
  const body = ctx.body ?? {};
  for (const name of ['access_token', 'refresh_token', 'id_token', 'client_secret', 'registration_access_token']) {
    if (typeof body[name] === 'string') issued.add(body[name]);
  }
  // As with most servers, the metadata do not name what each resource adds.
  if (ctx.path.startsWith('/.well-known/')) body.scopes_supported = ['openid', 'offline_access'];
  if (ctx.path === '/reg' && ctx.method === 'POST' && body.client_id) registered.push(body.client_id);
}

let keys = [await signingKey()];
let handle;

function build() {
  const provider = new Provider(options.issuer, { ...configuration, jwks: { keys } });
  provider.use(record);
  handle = provider.callback();
}

const COMMANDS = {
  resource: ({ url, ...rest }) => resources.set(url, rest) && {},
  rotate: async ({ keep }) => {
    keys = [await signingKey(), ...(keep ? keys : [])];
    build();
    return { kid: keys[0].kid };
  },
  issued: () => ({ issued: [...issued] }),
  registered: () => ({ registered }),
  client: ({ id, secret, redirect }) => {
    CLIENTS.push({ ...usual, client_id: id, client_secret: secret, redirect_uris: [redirect], grant_types: ['authorization_code'] });
    return build() ?? {};
  },
  claims: ({ user, claims }) => people.set(user, claims) && {},
};

const listener = (request, response) => handle(request, response);
const server = secure
  ? createHttps({ cert: options.certificate, key: options.key }, listener)
  : createHttp(listener);
await new Promise((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
options.issuer = `${secure ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;
build();
process.stdout.write(`${options.issuer}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await COMMANDS[command.op](command))}\n`);
}
process.exit(0); // the test's process has ended
