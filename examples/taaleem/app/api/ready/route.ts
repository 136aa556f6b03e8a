import { json } from '@/lib/api';
import { runtime } from '@/lib/runtime';

export const dynamic = 'force-dynamic';

const TIMEOUT_MS = 1_500;

async function check(work: () => Promise<unknown>): Promise<'ok' | 'away'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'away'>((resolve) => {
    timer = setTimeout(() => resolve('away'), TIMEOUT_MS);
  });
  const done = work().then(
    () => 'ok' as const,
    () => 'away' as const,
  );
  return Promise.race([done, late]).finally(() => clearTimeout(timer));
}

/** Readiness: can this instance do its work now? Without replica or cache it can, only slower; so they are told, not required. */
export async function GET(): Promise<Response> {
  const { config, databases, stores, draining } = runtime();
  const identity = { instance: config.instance, release: config.release };
  if (draining) return json({ status: 'draining', ...identity }, 503);
  const [database, sessions, rateLimit, replica, cache] = await Promise.all([
    check(() => databases.primary.query('SELECT 1')),
    check(() => stores.sessions.ping()),
    check(() => stores.rateLimit.ping()),
    check(() => databases.replica.query('SELECT 1')),
    check(() => stores.cache.ping()),
  ]);
  const ready = [database, sessions, rateLimit].every((state) => state === 'ok');
  const checks = { database, sessions, rate_limit: rateLimit, replica, cache };
  return json({ status: ready ? 'ready' : 'unavailable', ...identity, checks }, ready ? 200 : 503);
}
