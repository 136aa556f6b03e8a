import { createHash } from 'node:crypto';

import { ApiError } from './api';
import { runtime } from './runtime';

/** Counts one attempt in a fixed window; past `limit` it is 429. Without the store it fails: guessing must not become free. */
export async function limit(kind: string, subject: string, allowed: number, windowSeconds: number): Promise<void> {
  const key = keyOf(kind, subject);
  const [count, , left] = await runtime()
    .stores.rateLimit.multi()
    .incr(key)
    .expire(key, windowSeconds, 'NX')
    .ttl(key)
    .exec<'typed'>();
  if (Number(count) > allowed) {
    throw new ApiError(429, 'too_many_attempts', 'Too many attempts. Try again later.', { 'Retry-After': String(left) });
  }
}

export async function forget(kind: string, subject: string): Promise<void> {
  await runtime().stores.rateLimit.del(keyOf(kind, subject));
}

function keyOf(kind: string, subject: string): string {
  return `taaleem:limit:${kind}:${createHash('sha256').update(subject).digest('base64url')}`;
}
