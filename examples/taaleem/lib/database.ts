import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';

const RETRY_DELAYS_MS = [100, 400, 1_000];
/** Classes 08 and 57P: the connection or the server went away; 25006: the leader has just become a replica. */
const TRANSIENT = /^(08...|57P0[1-5]|25006|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT)$/;

/** The connection broke or its server is about to change: the same work may succeed on the next connection. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return TRANSIENT.test((error as NodeJS.ErrnoException).code ?? '') || error.message.startsWith('Connection terminated');
}

/** The database does not answer; after a timeout another try would only make the caller wait as long again. */
export function isAway(error: unknown): boolean {
  return isTransient(error) || (error instanceof Error && /^(timeout exceeded when trying to connect|Query read timeout)/.test(error.message));
}

/** Runs work that may safely run twice again after a lost connection, so that a failover costs time and no request. */
export async function withRetry<T>(work: () => Promise<T>): Promise<T> {
  for (const delay of RETRY_DELAYS_MS) {
    try {
      return await work();
    } catch (error) {
      if (!isTransient(error)) throw error;
      await sleep(delay);
    }
  }
  return work();
}

export async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    if (isAway(error)) {
      broken = error as Error; // closing the connection rolls back; a ROLLBACK on it would wait as long again
    } else {
      await client.query('ROLLBACK').catch((problem: Error) => {
        broken = problem;
      });
    }
    throw error;
  } finally {
    client.release(broken);
  }
}
