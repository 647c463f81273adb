// An MCP server on the official TypeScript SDK that authenticates callers by the SDK's own middleware.
//
//   node secured.mjs '{"issuer": URL, "resource": URL, "scopes": […]}'
//
// `resource` is its public URL, and the audience of the tokens that it accepts. It listens on a free port of 127.0.0.1,
// prints it, and serves `/mcp` without sessions. Its tool `whoami` answers the subject of the token.

import express from 'express';
import { createRemoteJWKSet, jwtVerify } from 'jose';

import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const { issuer, resource, scopes } = JSON.parse(process.argv[2]);
const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));

async function verifyAccessToken(token) {
  try {
    const { payload } = await jwtVerify(token, keys, { issuer, audience: resource });
    const { client_id: clientId, scope, exp: expiresAt, sub } = payload;
    return { token, clientId, scopes: (scope ?? '').split(' '), expiresAt, resource: new URL(resource), extra: { sub } };
  } catch (error) {
    throw new InvalidTokenError(error.message);
  }
}

const endpoints = { issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`, response_types_supported: ['code'] };
const app = express();
app.use(mcpAuthMetadataRouter({ oauthMetadata: endpoints, resourceServerUrl: new URL(resource), scopesSupported: scopes }));
const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(new URL(resource));
app.use('/mcp', requireBearerAuth({ verifier: { verifyAccessToken }, requiredScopes: scopes, resourceMetadataUrl, expectedResource: resource }));
app.all('/mcp', async (request, response) => {
  const mcp = new McpServer({ name: 'secured', version: '1' });
  mcp.registerTool('whoami', {}, ({ authInfo }) => ({ content: [{ type: 'text', text: authInfo.extra.sub }] }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  response.on('close', () => transport.close());
  await mcp.connect(transport);
  await transport.handleRequest(request, response);
});
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));
