import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BlockList, isIPv6 } from 'node:net';

import type { Runtime } from './runtime';

const REQUEST_ID = /^[A-Za-z0-9._-]{8,128}$/;
const FORWARDED = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'x-real-ip', 'forwarded'];
const UNLOGGED = new Set(['/api/health', '/api/ready']);

export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export function trustList(addresses: string[]): BlockList {
  const list = new BlockList();
  for (const entry of addresses) {
    const [address = '', bits] = entry.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

/** The client as the edge saw it; a header from anyone else is dropped, or each caller could choose his own address. */
export function resolveClient(request: IncomingMessage, trusted: BlockList): string {
  const peer = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  const fromEdge = peer !== '' && trusted.check(peer, isIPv6(peer) ? 'ipv6' : 'ipv4');
  if (!fromEdge) {
    for (const name of FORWARDED) delete request.headers[name];
    delete request.headers['x-request-id'];
    return peer;
  }
  const chain = String(request.headers['x-forwarded-for'] ?? '').split(',');
  return String(request.headers['x-real-ip'] ?? chain.at(-1)?.trim() ?? '') || peer;
}

export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/** The path without what it may tell of a person: no query, and names of records replaced. */
export function loggablePath(url: string | undefined): string {
  const path = (url ?? '/').split('?')[0] ?? '/';
  return path.replace(/\/[0-9a-f]{8}-[0-9a-f-]{27,}/gi, '/:id').slice(0, 200);
}

/** Scripts run only with this answer's nonce; Next.js takes it from the request's header of the same name. */
function contentSecurityPolicy(): string {
  const nonce = randomBytes(16).toString('base64');
  return [
    "default-src 'self'",
    `script-src 'self' 'nonce-${nonce}' 'strict-dynamic'${process.env.NODE_ENV === 'production' ? '' : " 'unsafe-eval'"}`,
    "style-src 'self'",
    "img-src 'self' data:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'self'",
  ].join('; ');
}

/** Gives each request its id, its client and its line in the log, then hands it on. */
export function withContext(runtime: Runtime, handler: Handler): Handler {
  const trusted = trustList(runtime.config.trustedProxies);
  return async (request, response) => {
    const started = process.hrtime.bigint();
    const path = loggablePath(request.url);
    const context = { clientAddress: resolveClient(request, trusted), requestId: requestIdOf(request) };
    const policy = contentSecurityPolicy();
    request.headers['content-security-policy'] = policy;
    response.setHeader('Content-Security-Policy', policy);
    response.setHeader('X-Request-ID', context.requestId);
    response.setHeader('X-Instance', runtime.config.instance);
    if (runtime.draining) response.setHeader('Connection', 'close');
    await runtime.request.run(context, async () => {
      response.once('close', () => {
        if (UNLOGGED.has(path)) return;
        runtime.log.info('request', {
          request_id: context.requestId,
          method: request.method,
          path,
          status: response.statusCode,
          complete: response.writableFinished,
          duration_ms: Number((process.hrtime.bigint() - started) / 1_000_000n),
          client: context.clientAddress,
        });
      });
      await handler(request, response);
    });
  };
}
