import { type Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { describeError } from '../lib/errors';
import { closeRuntime, type Runtime } from './runtime';

const RESERVE_MS = 500;
const POLL_MS = 50;

/**
 * Ends the process without cutting anyone off: readiness turns to 503, no new connection is taken, running requests
 * end, long-lived ones are told, pools are closed. SIGKILL follows after the process manager's limit, so this is done before.
 */
export function installShutdown(server: Server, runtime: Runtime): void {
  let running = 0;
  server.on('request', (_request, response) => {
    running += 1;
    response.once('close', () => {
      running -= 1;
    });
  });
  let begun = false;
  const shutdown = (reason: string) => {
    if (begun) return;
    begun = true;
    drain(server, runtime, reason, () => running).then(
      (whole) => process.exit(whole ? 0 : 1),
      (error) => {
        runtime.log.error('shutdown failed', describeError(error));
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => shutdown('SIGTERM'));
  process.on('SIGINT', () => shutdown('SIGINT'));
  process.on('message', (message) => {
    if (message === 'shutdown') shutdown('message');
  });
}

async function drain(server: Server, runtime: Runtime, reason: string, running: () => number): Promise<boolean> {
  const { config, log } = runtime;
  const deadline = Date.now() + config.killTimeoutMs - RESERVE_MS;
  log.info('shutdown began', { reason, running: running(), live: runtime.live.size });
  runtime.draining = true;
  await sleep(config.drainDelayMs);
  // Not server.close(): that also cuts idle connections at once, and a proxy may be sending a POST on one of them.
  // Left open for a moment, each answers with `Connection: close` and is gone.
  NetServer.prototype.close.call(server);
  for (const close of runtime.live) close();
  await sleep(config.drainIdleMs);
  server.closeIdleConnections();
  while (running() > 0 && Date.now() < deadline) {
    await sleep(POLL_MS);
    server.closeIdleConnections();
  }
  const left = running();
  server.closeAllConnections();
  await Promise.race([closeRuntime(runtime), sleep(Math.max(deadline - Date.now(), POLL_MS))]);
  log.info('shutdown ended', { cut_off: left });
  return left === 0;
}
