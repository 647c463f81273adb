// An MCP server of files on the official TypeScript SDK: `node files.mjs '{"/docs/readme.md": "welcome"}'`.
//
// It listens on a free port of 127.0.0.1, prints it, and serves `/mcp` without sessions. The SDK
// parses the URI of a resource with `new URL`; the file is found as servers do: the path decoded and resolved.

import { createServer } from 'node:http';
import { posix } from 'node:path';

import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const files = JSON.parse(process.argv[2]);

function read(uri) {
  const path = posix.resolve('/', decodeURIComponent(uri.pathname).replaceAll('\\', '/'));
  const text = files[path];
  if (text === undefined) throw new Error(`There is no ${path}`);
  return { contents: [{ uri: uri.href, text }] };
}

const server = createServer(async (request, response) => {
  const mcp = new McpServer({ name: 'files', version: '1' });
  mcp.registerResource('files', new ResourceTemplate('file:{+path}', { list: undefined }), {}, read);
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  response.on('close', () => transport.close());
  await mcp.connect(transport);
  await transport.handleRequest(request, response);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
