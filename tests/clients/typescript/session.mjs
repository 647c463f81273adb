// One session of an official TypeScript SDK: connect, run a list of steps, print one JSON line for each.
//
//   node session.mjs --sdk v1|v2 --era legacy|modern|auto --url URL --script '[{"op": "listTools"}, …]'
//
// --era auto        takes what client and server agree on (v2)
// --script -        reads the steps from standard input
// --header 'A: b'   is sent with every request (may be repeated)
// --timeout MS      is how long one step may take
// --revision DATE   is the only revision that the client knows (v2)
//
// A line is {"op", "ok": true, "result", "notifications"} or {"op", "ok": false, "error", "notifications"}, with
// the notifications that came since the line before. A session that cannot be opened prints the one line of the
// step "connect" and ends with exit code 1. A wrong command line ends with 2.

import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const MODERN = '2026-07-28';
const INFO = { name: 'ostiary-test-client', version: '1.0.0' };

class UsageError extends Error {}

/** What the steps need, whichever SDK it is: its client, and the two things in which the SDKs differ. */
class Session {
  constructor({ client, transport, timeout, callTool, protocolVersion }) {
    Object.assign(this, { client, transport, callTool, protocolVersion, options: { timeout } });
    this.unprinted = [];
    this.unclaimed = [];
    this.waiting = [];
    client.fallbackNotificationHandler = async ({ method, params }) => this.hear({ method, params });
  }

  hear(notification) {
    this.unprinted.push(notification);
    const waiter = this.waiting.findIndex(({ method }) => method === notification.method);
    if (waiter < 0) this.unclaimed.push(notification);
    else this.waiting.splice(waiter, 1)[0].resolve(notification);
  }

  /** The first notification with this method that no step has waited for yet, now or as soon as it comes. */
  next(method) {
    const heard = this.unclaimed.findIndex(notification => notification.method === method);
    if (heard >= 0) return this.unclaimed.splice(heard, 1)[0];
    return new Promise((resolve, reject) => {
      this.waiting.push({ method, resolve });
      setTimeout(() => reject(new Error(`no ${method} in ${this.options.timeout} ms`)), this.options.timeout).unref();
    });
  }

  async close() {
    // As polite clients do. A server without sessions, or one that is gone, has nothing to end.
    if (this.transport.sessionId) await this.transport.terminateSession().catch(() => {});
    await this.client.close().catch(() => {});
  }
}

async function connectV1({ era, url, headers, timeout }) {
  if (era !== 'legacy') throw new UsageError('--sdk v1 knows --era legacy only');
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
  const client = new Client(INFO);
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  const callTool = (params, options) => client.callTool(params, undefined, options);
  const session = new Session({ client, transport, timeout, callTool, protocolVersion: () => transport.protocolVersion });
  await client.connect(transport, { timeout });
  return session;
}

async function connectV2({ era, url, headers, timeout, revision }) {
  const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const known = revision === undefined ? {} : { supportedProtocolVersions: [revision] };
  const client = new Client(INFO, { versionNegotiation: { mode: era === 'legacy' ? 'legacy' : 'auto' }, ...known });
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  const callTool = (params, options) => client.callTool(params, options);
  const protocolVersion = () => client.getNegotiatedProtocolVersion();
  const session = new Session({ client, transport, timeout, callTool, protocolVersion });
  await client.connect(transport, { timeout });
  if (era === 'auto' || (protocolVersion() === MODERN) === (era === 'modern')) return session;
  await session.close();
  throw new Error(`asked for the ${era} era, got ${protocolVersion()}`);
}

// A list is requested again each time: a test wants to see the current response of the server.
const FRESH = { cacheMode: 'refresh' };

const STEPS = {
  server: session => ({
    protocolVersion: session.protocolVersion(),
    serverInfo: session.client.getServerVersion(),
    capabilities: session.client.getServerCapabilities(),
    instructions: session.client.getInstructions(),
    sessionId: session.transport.sessionId
  }),
  ping: (session, _, options) => session.client.ping(options),
  listTools: (session, { cursor }, options) => session.client.listTools(page(cursor), { ...options, ...FRESH }),
  listPrompts: (session, { cursor }, options) => session.client.listPrompts(page(cursor), { ...options, ...FRESH }),
  listResources: (session, { cursor }, options) => session.client.listResources(page(cursor), { ...options, ...FRESH }),
  listResourceTemplates: (session, { cursor }, options) =>
    session.client.listResourceTemplates(page(cursor), { ...options, ...FRESH }),
  callTool: (session, { progress, abortAfterProgress, ...params }, options) =>
    session.callTool(params, watched(session, { progress, abortAfterProgress }, options)),
  getPrompt: (session, params, options) => session.client.getPrompt(params, options),
  readResource: (session, params, options) => session.client.readResource(params, { ...options, ...FRESH }),
  complete: (session, params, options) => session.client.complete(params, options),
  setLoggingLevel: (session, { level }, options) => session.client.setLoggingLevel(level, options),
  subscribeResource: (session, params, options) => session.client.subscribeResource(params, options),
  unsubscribeResource: (session, params, options) => session.client.unsubscribeResource(params, options),
  listen: async (session, { filter }, options) => (await session.client.listen(filter, options)).honoredFilter,
  waitFor: (session, { method }) => session.next(method),
  // Repeats a step for as long as a file is there; the first that fails ends it.
  repeatWhile: async (session, { file, step: { op, ...params } }, options) => {
    const results = [];
    while (existsSync(file)) results.push(await STEPS[op](session, params, options));
    return results;
  }
};

function page(cursor) {
  return cursor === undefined ? undefined : { cursor };
}

/** With `progress` the call carries a progress token; with `abortAfterProgress` it is cancelled at the first one. */
function watched(session, { progress, abortAfterProgress }, options) {
  if (!progress && !abortAfterProgress) return options;
  const abort = new AbortController();
  const onprogress = params => {
    session.hear({ method: 'notifications/progress', params });
    if (abortAfterProgress) abort.abort('aborted by the test');
  };
  return { ...options, onprogress, signal: abort.signal };
}

async function runStep(session, step) {
  const { op, ...params } = step;
  try {
    if (!Object.hasOwn(STEPS, op)) throw new UsageError(`unknown op ${JSON.stringify(op)}`);
    const result = await STEPS[op](session, params, session.options);
    return { op, ok: true, result };
  } catch (error) {
    return { op, ok: false, error: describe(error) };
  }
}

function describe(error) {
  const { name, code, message, data } = error instanceof Error ? error : { message: String(error) };
  return { name: error?.constructor?.name ?? name, code, message, data, status: error?.status ?? data?.status };
}

function print(line) {
  process.stdout.write(JSON.stringify(line) + '\n');
}

function parseCommandLine() {
  const options = {
    sdk: { type: 'string' },
    era: { type: 'string' },
    url: { type: 'string' },
    script: { type: 'string' },
    header: { type: 'string', multiple: true, default: [] },
    timeout: { type: 'string', default: '15000' },
    revision: { type: 'string' }
  };
  const { values } = parseArgs({ options });
  for (const [name, allowed] of [['sdk', ['v1', 'v2']], ['era', ['legacy', 'modern', 'auto']]]) {
    if (!allowed.includes(values[name])) throw new UsageError(`--${name} must be ${allowed.join(' or ')}`);
  }
  if (!values.url || !values.script) throw new UsageError('--url and --script are required');
  const steps = JSON.parse(values.script === '-' ? readFileSync(0, 'utf8') : values.script);
  return { ...values, steps, headers: new Headers(values.header.map(splitHeader)), timeout: Number(values.timeout) };
}

function splitHeader(line) {
  const colon = line.indexOf(':');
  if (colon < 1) throw new UsageError(`--header ${JSON.stringify(line)} is not NAME: VALUE`);
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

async function main() {
  const command = parseCommandLine();
  let session;
  try {
    session = await (command.sdk === 'v1' ? connectV1 : connectV2)(command);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    print({ op: 'connect', ok: false, error: describe(error), notifications: [] });
    return 1;
  }
  for (const step of command.steps) {
    const outcome = await runStep(session, step);
    print({ ...outcome, notifications: session.unprinted.splice(0) });
  }
  await session.close();
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`session.mjs: ${error.message}\n`);
  process.exitCode = 2;
}
