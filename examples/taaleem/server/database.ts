import pg from 'pg';

import { describeError } from '../lib/errors';
import type { Config } from './config';
import type { Log } from './log';

export interface Databases {
  /** The leader, for writes and for reads that must see them. */
  primary: pg.Pool;
  /** A replica, for reads that may be some seconds old. */
  replica: pg.Pool;
}

const QUERY_TIMEOUT_MS = 15_000;
/** Short, as the primary answers in its place. */
const REPLICA_TIMEOUT_MS = 3_000;

/**
 * Nothing here depends on the server session, as PgBouncer gives each transaction another one: no SET, no LISTEN, no
 * startup parameter beyond the name; timeouts are the client's. Named statements are fine from PgBouncer 1.21 on.
 */
export function connectDatabases(config: Config, log: Log): Databases {
  const open = (name: string, connectionString: string, timeoutMs: number) => {
    const pool = new pg.Pool({
      connectionString,
      application_name: 'taaleem',
      max: config.databasePoolMax,
      connectionTimeoutMillis: timeoutMs,
      idleTimeoutMillis: 30_000,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
    });
    pool.on('error', (error) => log.warn('database connection lost', { database: name, ...describeError(error) }));
    return pool;
  };
  return {
    primary: open('primary', config.databaseUrl, config.databasePoolTimeoutMs),
    replica: open('replica', config.databaseReadUrl, Math.min(config.databasePoolTimeoutMs, REPLICA_TIMEOUT_MS)),
  };
}
