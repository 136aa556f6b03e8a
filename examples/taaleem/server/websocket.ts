import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';

import type { Runtime } from './runtime';

const PATH = '/api/ws';
const LARGEST_MESSAGE_BYTES = 64 * 1024;
const PING_EVERY_MS = 30_000;
const GOING_AWAY = 1001;

/** An echo at /api/ws: says hello with the instance, then returns each message as it came. */
export function attachWebSocket(server: Server, runtime: Runtime): void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: LARGEST_MESSAGE_BYTES });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const refusal = refuse(request, runtime);
    if (refusal) {
      socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (client) => {
      const close = () => client.close(GOING_AWAY, 'instance is going away');
      const ping = setInterval(() => client.ping(), PING_EVERY_MS);
      runtime.live.add(close);
      client.on('message', (data, binary) => client.send(data, { binary }));
      client.on('error', () => client.terminate());
      client.on('close', () => {
        clearInterval(ping);
        runtime.live.delete(close);
      });
      client.send(JSON.stringify({ type: 'hello', instance: runtime.config.instance, release: runtime.config.release }));
    });
  });
}

function refuse(request: IncomingMessage, runtime: Runtime): string | undefined {
  if ((request.url ?? '').split('?')[0] !== PATH) return '404 Not Found';
  if (runtime.draining || runtime.live.size >= runtime.config.maxLiveConnections) return '503 Service Unavailable';
  const origin = request.headers.origin;
  if (origin === undefined) return undefined; // not a browser
  const host = request.headers.host ?? '';
  const same = URL.canParse(origin) && new URL(origin).hostname === new URL(`http://${host}`).hostname;
  return same ? undefined : '403 Forbidden';
}
