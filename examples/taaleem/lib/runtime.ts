import type { Runtime } from '@/server/runtime';

/** The object that the server made before Next.js took its first request. */
export function runtime(): Runtime {
  const found = (globalThis as Record<symbol, unknown>)[Symbol.for('taaleem.runtime')];
  if (!found) throw new Error('the server has not started; run server.js, not `next start`');
  return found as Runtime;
}
