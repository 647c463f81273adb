// A server of the official TypeScript SDK (v1) with sessions, for tests of many calls at a time.
//
//   node meeting.mjs [--json]
//
// It prints its port. The tool "meet" {size, n} waits until so many calls have come, reports the progress n, and answers
// n. The tool "wait" hangs until it is cancelled; "cancelled" answers how many of those were.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const { values: options } = parseArgs({ options: { json: { type: 'boolean' } } });
const sessions = new Map();
let waiting = [];
let cancelled = 0;

const answer = (value) => ({ content: [{ type: 'text', text: String(value) }] });

async function meet({ size, n }, extra) {
  await new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === size) waiting.splice(0).forEach((each) => each());
  });
  const progressToken = extra._meta?.progressToken;
  if (progressToken !== undefined && !options.json) {
    await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress: n } });
  }
  return answer(n);
}

const wait = (_, { signal }) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => { cancelled += 1; reject(new Error('cancelled')); });
  });

const tools = { meet, wait, cancelled: async () => answer(cancelled) };

function build() {
  const server = new Server({ name: 'meeting', version: '1' }, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, async () => ({
    tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } })),
  }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) => tools[params.name](params.arguments, extra));
  return server;
}

async function open() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    enableJsonResponse: options.json ?? false,
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  await build().connect(transport);
  return transport;
}

const http = createServer(async (request, response) => {
  const transport = sessions.get(request.headers['mcp-session-id']) ?? (await open());
  await transport.handleRequest(request, response);
});
http.listen(0, '127.0.0.1', () => console.log(http.address().port));
