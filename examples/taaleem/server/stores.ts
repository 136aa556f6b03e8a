import { readFileSync } from 'node:fs';
import { createClient } from 'redis';

import { describeError } from '../lib/errors';
import type { Config } from './config';
import type { Log } from './log';

const CONNECT_TIMEOUT_MS = 5_000;
const COMMAND_TIMEOUT_MS = 2_000;
const LONGEST_RETRY_MS = 2_000;

export type Store = ReturnType<typeof openStore>;

export interface Stores {
  sessions: Store;
  cache: Store;
  rateLimit: Store;
}

/** Connects in the background: an instance starts, and says that it is not ready, while a store is away. */
export function connectStores(config: Config, log: Log): Stores {
  const ca = config.redisCaFile ? readFileSync(config.redisCaFile) : undefined;
  const open = (name: string, url: string) => {
    const store = openStore(url, ca);
    let lost = false;
    store.on('error', (error) => {
      if (!lost) log.warn('store connection lost', { store: name, ...describeError(error) });
      lost = true;
    });
    store.on('ready', () => {
      lost = false;
      log.info('store connected', { store: name });
    });
    store.connect().catch(() => undefined); // each failed try is an 'error' event already
    return store;
  };
  return {
    sessions: open('sessions', config.redisUrls.sessions),
    cache: open('cache', config.redisUrls.cache),
    rateLimit: open('rate-limit', config.redisUrls.rateLimit),
  };
}

function openStore(url: string, ca: Buffer | undefined) {
  const retry = { connectTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: (tries: number) => Math.min(100 * tries, LONGEST_RETRY_MS) };
  return createClient({
    url,
    socket: url.startsWith('rediss:') ? { ...retry, tls: true as const, ca } : retry,
    disableOfflineQueue: true, // fail at once instead of holding a request until the store is back
    disableClientInfo: true, // least privilege: the application's user need not be allowed CLIENT
    maintNotifications: 'disabled',
    commandOptions: { timeout: COMMAND_TIMEOUT_MS },
  });
}

export function closeStores(stores: Stores): void {
  for (const store of Object.values(stores)) store.destroy();
}
