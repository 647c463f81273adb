// The official TypeScript SDKs as clients of the compatibility table. It does what features.py does for Python's.
//
//   node typescript.mjs --sdk v1|v2 --revision 2025-11-25|2026-07-28 --url URL [--server-revision …]
//
// The server asks back as its revision says, which behind a bridge is not that of the client.
// Prints one JSON object: the feature's name and either {"ok": true} or {"error": why}.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const MODERN = '2026-07-28';
const WATCHED = 'test://watched-resource';
const ROOT = 'file:///home/agent';
const MODEL_SAYS = 'I am a model';
const USER_SAYS = 'I am a user';
const MILLISECONDS = 10_000;
const FRESH = { cacheMode: 'refresh' };
const INFO = { name: 'ostiary-test-client', version: '1.0.0' };
const CAPABILITIES = { sampling: {}, elicitation: {}, roots: {} };

const answer = (schema) =>
  Object.fromEntries(
    Object.entries(schema.properties).map(([name, { type }]) => [name, type === 'boolean' ? true : USER_SAYS]),
  );
const ANSWERS = {
  'sampling/createMessage': () => ({
    role: 'assistant',
    model: 'test',
    content: { type: 'text', text: MODEL_SAYS },
  }),
  'elicitation/create': ({ params }) => ({ action: 'accept', content: answer(params.requestedSchema) }),
  'roots/list': () => ({ roots: [{ uri: ROOT }] }),
};

/** An open session of either SDK. */
class Agent {
  heard = [];

  constructor(client, transport, callTool, revision) {
    Object.assign(this, { client, transport, callTool, revision, meta: undefined });
    client.fallbackNotificationHandler = async ({ method, params }) => void this.heard.push({ method, params });
  }

  async call(name, args = {}, options = {}) {
    const result = await this.callTool({ name, arguments: args, ...(this.meta && { _meta: this.meta }) }, options);
    return result.content[0].text;
  }

  count(method, uri) {
    return this.heard.filter((each) => each.method === method && (!uri || each.params.uri === uri)).length;
  }
}

async function openV1(url) {
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
  const types = await import('@modelcontextprotocol/sdk/types.js');
  const client = new Client(INFO, { capabilities: CAPABILITIES });
  client.setRequestHandler(types.CreateMessageRequestSchema, ANSWERS['sampling/createMessage']);
  client.setRequestHandler(types.ElicitRequestSchema, ANSWERS['elicitation/create']);
  client.setRequestHandler(types.ListRootsRequestSchema, ANSWERS['roots/list']);
  const transport = new StreamableHTTPClientTransport(new URL(url));
  const call = (params, options) => client.callTool(params, undefined, options);
  const agent = new Agent(client, transport, call, () => transport.protocolVersion);
  await client.connect(transport);
  return agent;
}

async function openV2(url, revision) {
  const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const mode = revision === MODERN ? 'auto' : 'legacy';
  const client = new Client(INFO, { capabilities: CAPABILITIES, versionNegotiation: { mode } });
  for (const [method, handler] of Object.entries(ANSWERS)) client.setRequestHandler(method, handler);
  const transport = new StreamableHTTPClientTransport(new URL(url));
  const call = (params, options) => client.callTool(params, options);
  const agent = new Agent(client, transport, call, () => client.getNegotiatedProtocolVersion());
  await client.connect(transport);
  return agent;
}

function expect(found, wanted) {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`wanted ${JSON.stringify(wanted)}, got ${JSON.stringify(found)}`);
  }
}

/** Wait until something holds; `step` is done again and again, for a stream may open after it was done first. */
async function until(condition, step = async () => {}) {
  const deadline = Date.now() + MILLISECONDS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`nothing in ${MILLISECONDS} ms`);
    await step();
    await sleep(20);
  }
}

async function hears(agent, revision, method, uri, change) {
  agent.heard.length = 0;
  if (revision === MODERN) {
    const filter = { toolsListChanged: true, resourceSubscriptions: [WATCHED] };
    const subscription = await agent.client.listen(filter);
    await until(() => agent.count(method, uri), change);
    return subscription.close();
  }
  await agent.client.subscribeResource({ uri: WATCHED });
  return until(() => agent.count(method, uri), change);
}

const FEATURES = {
  connect: async (agent, revision) => expect(agent.revision(), revision),
  list: async (agent) => {
    const names = [];
    const pages = [];
    let cursor;
    do {
      const page = await agent.client.listTools(cursor === undefined ? undefined : { cursor }, FRESH);
      names.push(...page.tools.map((tool) => tool.name));
      pages.push(page.tools.length);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return { names: names.sort(), pages };
  },
  call: async (agent) => expect(await agent.call('test_simple_text'), 'This is a simple text response for testing.'),
  progress: async (agent) => {
    const seen = [];
    await agent.call('test_tool_with_progress', {}, { onprogress: ({ progress }) => seen.push(progress) });
    expect(seen, [0, 50, 100]);
  },
  cancel: async (agent) => {
    const before = Number(await agent.call('test_count_cancelled'));
    const abort = new AbortController();
    const options = { signal: abort.signal, onprogress: () => abort.abort('the user left') };
    await agent.call('test_wait_for_cancel', {}, options).catch(() => {});
    let after = before;
    await until(
      () => after === before + 1,
      async () => (after = Number(await agent.call('test_count_cancelled'))),
    );
  },
  sampling: async (agent, _, asks) => {
    if (asks === MODERN) {
      return expect(await agent.call('test_input_required_result_sampling'), `You said: ${MODEL_SAYS} (${MODEL_SAYS})`);
    }
    return expect(await agent.call('test_sampling', { prompt: 'Who are you?' }), `LLM response: ${MODEL_SAYS}`);
  },
  elicitation: async (agent, _, asks) => {
    if (asks === MODERN) {
      return expect(await agent.call('test_input_required_result_elicitation'), `Hello, ${USER_SAYS}! (${USER_SAYS})`);
    }
    const said = await agent.call('test_elicitation', { message: 'Who are you?' });
    return expect(said.startsWith('User response: action=accept') && said.includes(USER_SAYS), true);
  },
  roots: async (agent, _, asks) => {
    if (asks === MODERN) {
      return expect(await agent.call('test_input_required_result_list_roots'), `You said: ${ROOT} (${ROOT})`);
    }
    return expect(await agent.call('test_list_roots'), `Roots: ${ROOT}`);
  },
  subscription: (agent, revision) =>
    hears(agent, revision, 'notifications/resources/updated', WATCHED, () => agent.call('test_touch_resource')),
  list_changed: async (agent, revision) => {
    const method = 'notifications/tools/list_changed';
    let isChanged = false;
    const change = async () => {
      await agent.call('test_trigger_tool_change');
      isChanged = !isChanged;
      // There and back at once would be no change for a gateway that compares lists, at most once a second.
      for (let waited = 0; waited < 2000 && !agent.count(method); waited += 20) await sleep(20);
    };
    await hears(agent, revision, method, undefined, change);
    if (isChanged) await agent.call('test_trigger_tool_change'); // the next one finds the same tools
  },
  logging: async (agent, revision) => {
    if (revision === MODERN) agent.meta = { 'io.modelcontextprotocol/logLevel': 'info' };
    else await agent.client.setLoggingLevel('info');
    agent.heard.length = 0;
    await agent.call('test_tool_with_logging');
    await until(() => agent.count('notifications/message') === 3);
  },
};
const LEGACY_ONLY = {
  resumption: async (agent) => expect(await agent.call('test_reconnection'), 'Reconnection test completed'),
};
const MODERN_ONLY = {
  mrtr: async (agent) =>
    expect(await agent.call('test_input_required_result_multi_round'), `Your favourite colour is ${USER_SAYS}`),
  listen: async (agent) => {
    const subscription = await agent.client.listen({ toolsListChanged: true });
    await FEATURES.call(agent);
    await subscription.close();
  },
};

const string = { type: 'string' };
const { values: options } = parseArgs({
  options: { sdk: string, revision: string, url: string, 'server-revision': string },
});
const { sdk, revision, url } = options;
const asks = options['server-revision'] ?? revision;
/** Of a revision alone; where the server has another, without what is not carried across. */
function only() {
  if (asks === revision) return revision === MODERN ? MODERN_ONLY : LEGACY_ONLY;
  return revision === MODERN ? { listen: MODERN_ONLY.listen } : { mrtr: MODERN_ONLY.mrtr };
}
const agent = await (sdk === 'v1' ? openV1 : openV2)(url, revision);
const found = {};
for (const [name, feature] of Object.entries({ ...FEATURES, ...only() })) {
  try {
    found[name] = { ok: true, ...(await feature(agent, revision, asks)) };
  } catch (error) {
    found[name] = { error: `${error.constructor?.name}: ${error.message}`, trace: error.stack };
  }
}
if (agent.transport.sessionId) await agent.transport.terminateSession();
await agent.client.close();
process.stdout.write(`${JSON.stringify(found)}\n`);
