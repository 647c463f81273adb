// One client of an official TypeScript SDK with the SDK's own OAuth, driven by its standard input.
//
//   node oauth.mjs '{"sdk": "v1"|"v2", "era": "legacy"|"modern", "url": URL, "redirect": URL,
//                    "client": {"client_id", "client_secret"?}?, "document": URL?}'
//
// Without `client` it uses the document at a URL as its id, else it registers itself. Commands are JSON objects, one a
// line: {"op": "connect"}, {"op": "callTool", "name", "arguments"}, {"op": "state"}. Each is answered with one line,
// {"ok": true, "result"} or {"ok": false, "error"}. Where the SDK sends its user to a page, the line {"authorize": URL}
// comes before; the next line of input is then the query of the redirect back, as an object.

import { createInterface } from 'node:readline';

const options = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const INFO = { name: 'ostiary-test-client', version: '1.0.0' };
console.log = console.info = console.error; // standard output is for the answers alone

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const read = async () => JSON.parse((await lines.next()).value);

/** What the SDK keeps, in memory. The page that it asks for is opened when the request has failed. */
class Provider {
  redirectUrl = options.redirect;
  clientMetadataUrl = options.document;
  clientMetadata = {
    client_name: 'test',
    redirect_uris: [options.redirect],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    application_type: 'native',
    scope: 'openid', // asked for where neither challenge nor metadata name scopes; this server refuses to grant none
    token_endpoint_auth_method: options.client?.client_secret ? 'client_secret_basic' : 'none'
  };
  saved = { client: options.client };
  all = [];
  state = () => crypto.randomUUID();
  clientInformation = () => this.saved.client;
  saveClientInformation = (client) => { this.saved.client = client; };
  tokens = () => this.saved.tokens;
  saveTokens = (tokens) => { this.saved.tokens = tokens; this.all.push(tokens.access_token); };
  codeVerifier = () => this.saved.verifier;
  saveCodeVerifier = (verifier) => { this.saved.verifier = verifier; };
  discoveryState = () => this.saved.discovery;
  saveDiscoveryState = (discovery) => { this.saved.discovery = discovery; };
  redirectToAuthorization = (page) => { this.page = page; };
}

const provider = new Provider();
const heard = [];
let client;
let transport;

async function load() {
  if (options.sdk === 'v2') return import('@modelcontextprotocol/client');
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
  return { Client, StreamableHTTPClientTransport };
}

const { Client, StreamableHTTPClientTransport } = await load();

async function connect() {
  const more = options.sdk === 'v2' ? { versionNegotiation: { mode: options.era === 'legacy' ? 'legacy' : 'auto' } } : undefined;
  client = new Client(INFO, more);
  transport = new StreamableHTTPClientTransport(new URL(options.url), { authProvider: provider });
  client.fallbackNotificationHandler = async ({ method }) => { heard.push(method); };
  await client.connect(transport);
  return {};
}

const OPS = {
  connect,
  callTool: ({ name, arguments: values }) => client.callTool({ name, arguments: values }),
  state: () => ({ sessionId: transport.sessionId ?? null, tokens: provider.all, client: provider.saved.client ?? null, heard })
};

/** Run an operation; after a sign-in run it again, as the documentation of the SDK shows it. */
async function run(command) {
  try {
    return await OPS[command.op](command);
  } catch (error) {
    if (provider.page === undefined) throw error;
    print({ authorize: provider.page.href });
    provider.page = undefined;
    const query = await read();
    await transport.finishAuth(options.sdk === 'v2' ? new URLSearchParams(query) : query.code);
    return OPS[command.op](command);
  }
}

for (let line = await lines.next(); !line.done; line = await lines.next()) {
  try {
    print({ ok: true, result: await run(JSON.parse(line.value)) });
  } catch (error) {
    print({ ok: false, error: { name: error.name, message: error.message, code: error.code ?? null } });
  }
}
process.exit(0); // open streams would keep the process
