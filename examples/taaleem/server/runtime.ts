import type { Config } from './config';
import { connectDatabases, type Databases } from './database';
import { createLog, type Log, requestContext } from './log';
import { closeStores, connectStores, type Stores } from './stores';
import type { Uploads } from './uploads';
import { BucketUploads } from './uploads-bucket';
import { FolderUploads } from './uploads-folder';

/** Ends a long-lived connection (event stream, WebSocket) in its own polite way. */
export type Closer = () => void;

/**
 * The connections and the state of this process, made once by the server. Next.js bundles its routes apart from the
 * server; both reach the same object through the global symbol (see lib/runtime.ts).
 */
export interface Runtime {
  config: Config;
  log: Log;
  databases: Databases;
  stores: Stores;
  uploads: Uploads;
  draining: boolean;
  /** Long-lived connections, to be closed on shutdown. */
  live: Set<Closer>;
  request: typeof requestContext;
}

export const RUNTIME = Symbol.for('taaleem.runtime');

export function createRuntime(config: Config): Runtime {
  const log = createLog({ release: config.release, instance: config.instance });
  const runtime: Runtime = {
    config,
    log,
    databases: connectDatabases(config, log),
    stores: connectStores(config, log),
    uploads: 'folder' in config.uploads ? new FolderUploads(config.uploads.folder) : new BucketUploads(config.uploads),
    draining: false,
    live: new Set(),
    request: requestContext,
  };
  (globalThis as Record<symbol, unknown>)[RUNTIME] = runtime;
  return runtime;
}

export async function closeRuntime(runtime: Runtime): Promise<void> {
  closeStores(runtime.stores);
  runtime.uploads.close();
  await Promise.allSettled([runtime.databases.primary.end(), runtime.databases.replica.end()]);
}
