// An MCP server with every fixture of the official conformance suite, on the official TypeScript SDK.
//
//   node everything.mjs --port 3002 [--page-size 5] [--era legacy|modern]
//
// It listens on 127.0.0.1 and serves /mcp: 2026-07-28 from a server made for each request, the revisions before it in
// sessions; with --era only one of the two. Lists come whole unless there is a page size; then an empty page with a
// cursor comes in between.

import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import {
  NodeStreamableHTTPServerTransport,
  localhostHostValidation,
  localhostOriginValidation,
  toNodeHandler,
  toWebRequest,
} from '@modelcontextprotocol/node';
import {
  McpServer,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ResourceNotFoundError,
  createMcpHandler,
  createRequestStateCodec,
  fromJsonSchema,
  inputRequired,
  isLegacyRequest,
} from '@modelcontextprotocol/server';

import * as fixtures from './fixtures.mjs';

const INVALID_PARAMS = -32602;
const STEP_MS = 50;
const RETRY_MS = 100;
const { values: options } = parseArgs({
  options: { port: { type: 'string' }, 'page-size': { type: 'string' }, era: { type: 'string', default: 'both' } },
});
const pageSize = options['page-size'] ? Number(options['page-size']) : undefined;

const stateCodec = createRequestStateCodec({ key: randomBytes(32) });
const { text } = fixtures;
const answer = (...content) => ({ content });

/** What the server remembers. */
const state = { toolAdded: false, promptAdded: false, cancelled: 0 };
/** Session id → its server, transport and the URIs it watches. */
const sessions = new Map();

// --- tools ---------------------------------------------------------------------------------------------------------

const given = (ctx, key) => {
  const response = ctx.mcpReq.inputResponses?.[key];
  return response && (response.action ?? 'accept') === 'accept' ? response : undefined;
};

/** What a response to a question says, in words. */
function said(response) {
  if (response.roots) return response.roots.map((root) => root.uri).join(', ');
  return String(response.content?.text ?? Object.values(response.content ?? {})[0] ?? '');
}

async function logs(ctx) {
  for (const [place, words] of ['started', 'processing data', 'completed'].entries()) {
    if (place) await sleep(STEP_MS);
    await ctx.mcpReq.log('info', place === 1 ? `Tool ${words}` : `Tool execution ${words}`);
  }
  return answer(text('Tool with logging executed successfully'));
}

async function progress(ctx, done, total, message) {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: done, total, message } });
}

async function reports(ctx) {
  for (const done of [0, 50, 100]) {
    await progress(ctx, done, 100, `Completed step ${done} of 100`);
    await sleep(STEP_MS);
  }
  return answer(text('Tool with progress executed successfully'));
}

// In a session questions go out by `send`, on the stream of the call. `elicitInput` and `requestSampling` of the SDK take
// the session's GET stream, and what is asked before that is open is never heard: a call can overtake the GET on another
// connection. Without sessions the result asks, and the response comes with the next round.

const asked = (ctx, request) => (ctx.mcpReq.envelope ? ctx.mcpReq.inputResponses?.answer : ctx.mcpReq.send(request));
const asking = (request) => inputRequired({ inputRequests: { answer: request } });

async function elicits(ctx, name, message) {
  const { said: words, schema } = fixtures.FORMS[name];
  const request = { method: 'elicitation/create', params: { mode: 'form', message, requestedSchema: schema } };
  const result = await asked(ctx, request);
  if (!result) return asking(request);
  return answer(text(`${words}: action=${result.action}, content=${JSON.stringify(result.content ?? {})}`));
}

async function asks(ctx, name) {
  const needed = fixtures.NEEDED[name];
  const responses = Object.keys(needed).map((key) => given(ctx, key));
  const stateful = fixtures.STATEFUL.has(name);
  if (!responses.every(Boolean) || (stateful && ctx.mcpReq.requestState() !== 'asked')) {
    const requestState = stateful ? { requestState: await stateCodec.mint('asked', ctx) } : {};
    return inputRequired({ inputRequests: needed, ...requestState });
  }
  const all = responses.map(said);
  const words = 'user_name' in needed ? `Hello, ${all[0]}!` : `You said: ${all[0]}`;
  return answer(text(`${words} ${stateful ? 'state-ok ' : ''}(${all.join('; ')})`));
}

async function rounds(ctx) {
  const reached = ctx.mcpReq.requestState();
  if (reached === 'step 2' && given(ctx, 'step2')) {
    return answer(text(`Your favourite colour is ${said(given(ctx, 'step2'))}`));
  }
  const second = reached === 'step 2' || (reached === 'step 1' && given(ctx, 'step1'));
  const step = second ? 'step2' : 'step1';
  const requestState = await stateCodec.mint(second ? 'step 2' : 'step 1', ctx);
  return inputRequired({ inputRequests: { [step]: fixtures.STEPS[step] }, requestState });
}

/** What the client declared: with this request, or at the begin of its session. */
const declaredBy = (ctx, server) =>
  ctx.mcpReq.envelope?.['io.modelcontextprotocol/clientCapabilities'] ?? server.getClientCapabilities() ?? {};

function capabilities(ctx, _, server) {
  const declared = declaredBy(ctx, server);
  const missing = Object.entries(fixtures.POSSIBLE).filter(([key, { capability }]) => declared[capability] && !given(ctx, key));
  if (!missing.length) return answer(text('Asked for what the client can do, and no more'));
  return inputRequired({ inputRequests: Object.fromEntries(missing.map(([key, { request }]) => [key, request])) });
}

async function waits(ctx) {
  await progress(ctx, 0, 1, 'Waiting');
  await new Promise((resolve) => {
    ctx.mcpReq.signal.addEventListener('abort', resolve);
    if (ctx.mcpReq.signal.aborted) resolve();
  });
  state.cancelled += 1;
  return answer(text('Cancelled'));
}

async function lists(ctx) {
  const request = { method: 'roots/list' };
  const result = await asked(ctx, request);
  if (!result) return asking(request);
  return answer(text(`Roots: ${result.roots.map((root) => root.uri).join(', ')}`));
}

async function samples(ctx, { prompt }) {
  const messages = [{ role: 'user', content: text(prompt) }];
  const request = { method: 'sampling/createMessage', params: { messages, maxTokens: 100 } };
  const result = await asked(ctx, request);
  if (!result) return asking(request);
  return answer(text(`LLM response: ${result.content.text}`));
}

function needsSampling(ctx, _, server) {
  if (!declaredBy(ctx, server).sampling) {
    throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
  }
  return answer(text('The client can sample'));
}

async function reconnects(ctx) {
  ctx.http?.closeSSE?.();
  await sleep(2 * STEP_MS);
  return answer(text('Reconnection test completed'));
}

async function changes(what) {
  state[`${what}Added`] = !state[`${what}Added`];
  modern.notify[`${what}sChanged`]();
  for (const { server } of sessions.values()) await server.notification({ method: `notifications/${what}s/list_changed` });
  return answer(text(`The ${what}s changed`));
}

async function touches() {
  modern.notify.resourceUpdated(fixtures.WATCHED);
  for (const { server, watched } of sessions.values()) {
    if (!watched.has(fixtures.WATCHED)) continue;
    await server.notification({ method: 'notifications/resources/updated', params: { uri: fixtures.WATCHED } });
  }
  return answer(text('The watched resource changed'));
}

const TOOLS = {
  ...Object.fromEntries(Object.entries(fixtures.CONSTANT).map(([name, content]) => [name, () => answer(...content)])),
  ...Object.fromEntries(
    Object.keys(fixtures.FORMS).map((name) => [name, (ctx, { message = 'Who are you?' }) => elicits(ctx, name, message)]),
  ),
  ...Object.fromEntries(Object.keys(fixtures.NEEDED).map((name) => [name, (ctx) => asks(ctx, name)])),
  test_error_handling: () => ({ isError: true, ...answer(text('This tool intentionally returns an error for testing')) }),
  test_tool_with_logging: logs,
  test_logging_tool: logs,
  test_tool_with_progress: reports,
  test_sampling: samples,
  test_list_roots: lists,
  test_reconnection: reconnects,
  test_trigger_tool_change: () => changes('tool'),
  test_trigger_prompt_change: () => changes('prompt'),
  test_touch_resource: touches,
  test_wait_for_cancel: waits,
  test_count_cancelled: () => answer(text(String(state.cancelled))),
  test_missing_capability: needsSampling,
  test_x_mcp_header: (_ctx, { region }) => answer(text(`Region: ${region}`)),
  test_input_required_result_multi_round: rounds,
  test_input_required_result_capabilities: capabilities,
};

// --- the server ----------------------------------------------------------------------------------------------------

/** The page that a request asks for. A cursor is the place of the next one. */
function cut(items, cursor) {
  if (pageSize === undefined) return { page: items };
  if (cursor === 'empty') return { page: [], nextCursor: String(pageSize) };
  if (cursor !== undefined && !/^\d+$/.test(cursor)) throw new ProtocolError(INVALID_PARAMS, `No such cursor: ${cursor}`);
  const start = Number(cursor ?? 0);
  const end = start + pageSize;
  if (end >= items.length) return { page: items.slice(start) };
  return { page: items.slice(start, end), nextCursor: start === 0 ? 'empty' : String(end) };
}

function listed(key, items, request) {
  const { page, nextCursor } = cut(items, request.params?.cursor);
  return { [key]: page, ...(nextCursor === undefined ? {} : { nextCursor }) };
}

function newServer(watched) {
  const mcp = new McpServer(
    { name: 'everything-typescript', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
      cacheHints: {
        'tools/list': { ttlMs: 1000, cacheScope: 'public' },
        'prompts/list': { ttlMs: 1000, cacheScope: 'public' },
        'resources/list': { ttlMs: 1000, cacheScope: 'public' },
        'resources/templates/list': { ttlMs: 1000, cacheScope: 'public' },
        'resources/read': { ttlMs: 0, cacheScope: 'private' },
      },
      requestState: { verify: stateCodec.verify },
    },
  );
  // Registered for its schema only: by that the SDK checks the Mcp-Param-* headers. The handlers below serve all tools.
  const inputSchema = fromJsonSchema(fixtures.tool('test_x_mcp_header').inputSchema);
  mcp.registerTool('test_x_mcp_header', { inputSchema }, () => answer());
  const on = (method, handler) => mcp.server.setRequestHandler(method, handler);
  on('tools/list', (request) => {
    const names = Object.keys(TOOLS).filter((name) => name !== 'test_added_tool' || state.toolAdded);
    return listed('tools', names.map(fixtures.tool), request);
  });
  on('tools/call', (request, ctx) => {
    const { name, arguments: args = {} } = request.params;
    if (!Object.hasOwn(TOOLS, name)) throw new ProtocolError(INVALID_PARAMS, `Unknown tool: ${name}`);
    return TOOLS[name](ctx, args, mcp.server);
  });
  on('prompts/list', (request) => {
    const added = state.promptAdded ? [{ name: 'test_added_prompt', description: 'Was added' }] : [];
    return listed('prompts', [...fixtures.PROMPTS, ...added], request);
  });
  on('prompts/get', (request, ctx) => {
    const { name, arguments: args = {} } = request.params;
    if (name === 'test_input_required_result_prompt') return contextPrompt(ctx);
    const found = fixtures.prompt(name, args);
    if (!found) throw new ProtocolError(INVALID_PARAMS, `Unknown prompt: ${name}`);
    return { messages: found.map((content) => ({ role: 'user', content })) };
  });
  on('resources/list', (request) => listed('resources', fixtures.RESOURCES, request));
  on('resources/templates/list', (request) => listed('resourceTemplates', fixtures.TEMPLATES, request));
  on('resources/read', (request) => {
    const found = fixtures.read(request.params.uri);
    if (!found) throw new ResourceNotFoundError(request.params.uri);
    return { contents: [found] };
  });
  on('completion/complete', (request) => {
    const values = ['paris', 'park', 'party'].filter((word) => word.startsWith(request.params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
  if (watched) {
    on('resources/subscribe', (request) => (watched.add(request.params.uri), {}));
    on('resources/unsubscribe', (request) => (watched.delete(request.params.uri), {}));
  }
  return mcp;
}

function contextPrompt(ctx) {
  const context = given(ctx, 'user_context');
  if (!context) return inputRequired({ inputRequests: { user_context: fixtures.STEPS.user_context } });
  return { messages: [{ role: 'user', content: text(`Context: ${said(context)}`) }] };
}

// --- HTTP ----------------------------------------------------------------------------------------------------------

const modern = createMcpHandler(() => newServer(), { legacy: 'reject' });
const serveModern = toNodeHandler(modern);

/** Every event of one session, so that any of its streams can be resumed. An id is the event's place. */
class Events {
  #events = [];

  async storeEvent(streamId, message) {
    this.#events.push({ streamId, message });
    return String(this.#events.length);
  }

  async getStreamIdForEventId(eventId) {
    return this.#events[Number(eventId) - 1]?.streamId;
  }

  async replayEventsAfter(lastEventId, { send }) {
    const place = Number(lastEventId);
    const { streamId } = this.#events[place - 1];
    for (const [index, event] of this.#events.entries()) {
      const isMessage = event.message && 'jsonrpc' in event.message;
      if (index >= place && event.streamId === streamId && isMessage) await send(String(index + 1), event.message);
    }
    return streamId;
  }
}

async function newSession() {
  const watched = new Set();
  const mcp = newServer(watched);
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: new Events(),
    retryInterval: RETRY_MS,
    onsessioninitialized: (id) => sessions.set(id, { server: mcp.server, transport, watched }),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await mcp.connect(transport);
  return transport;
}

function noSession(response, status, message) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32001, message } }));
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  }
}

async function serveLegacy(request, response, message) {
  const id = request.headers['mcp-session-id'];
  const known = sessions.get(id);
  if (id && !known) return noSession(response, 404, 'Session not found');
  if (known) return known.transport.handleRequest(request, response, message);
  if (message?.method !== 'initialize') return noSession(response, 400, 'A session id is required');
  return (await newSession()).handleRequest(request, response, message);
}

const validateHost = localhostHostValidation();
const validateOrigin = localhostOriginValidation();

async function serve(request, response) {
  if (!validateHost(request, response) || !validateOrigin(request, response)) return;
  const message = request.method === 'POST' ? await body(request) : undefined;
  const { era } = options;
  const legacy = era === 'both' ? await isLegacyRequest(await toWebRequest(request, message), message) : era === 'legacy';
  await (legacy ? serveLegacy(request, response, message) : serveModern(request, response, message));
}

const http = createServer((request, response) => {
  serve(request, response).catch((error) => {
    console.error(error);
    response.destroy();
  });
});
http.listen(Number(options.port), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
