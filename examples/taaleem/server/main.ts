import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

import { describeError } from '../lib/errors';
import { ConfigError, loadEnvFile, readConfig } from './config';
import { createLog } from './log';
import { withContext } from './requests';
import { createRuntime } from './runtime';
import { installShutdown } from './shutdown';
import { attachWebSocket } from './websocket';

async function main(): Promise<void> {
  process.chdir(__dirname);
  process.title = 'taaleem';
  loadEnvFile();
  const runtime = createRuntime(readConfig(__dirname));
  const { config, log } = runtime;
  // The configuration as it was at build time: a standalone release has no next.config and no compiler to read it with.
  const built = JSON.parse(readFileSync(path.join(__dirname, '.next', 'required-server-files.json'), 'utf8'));
  process.env.__NEXT_PRIVATE_STANDALONE_CONFIG = JSON.stringify(built.config);
  const { default: next } = await import('next');

  const server = createServer({ keepAliveTimeout: config.keepAliveTimeoutMs });
  server.headersTimeout = config.keepAliveTimeoutMs + 5_000; // shorter than keep-alive would cut a request on a reused connection
  const application = next({ dev: false, dir: __dirname, hostname: config.host, port: config.port, httpServer: server });
  await application.prepare();

  const handle = withContext(runtime, application.getRequestHandler());
  server.on('request', (request, response) => {
    handle(request, response).catch((error: unknown) => {
      log.error('request failed', describeError(error));
      response.destroy();
    });
  });
  attachWebSocket(server, runtime);
  installShutdown(server, runtime);
  server.on('error', (error) => {
    log.error('cannot listen', { host: config.host, port: config.port, ...describeError(error) });
    process.exit(1);
  });
  server.listen(config.port, config.host, () => {
    log.info('listening', { host: config.host, port: config.port, pid: process.pid, node: process.version });
    process.send?.('ready');
  });
}

main().catch((error: unknown) => {
  const reason = error instanceof ConfigError ? { reason: error.message } : describeError(error);
  createLog({}).error('cannot start', reason);
  process.exitCode = 1;
  setImmediate(() => process.exit());
});
