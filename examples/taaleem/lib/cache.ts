import { describeError } from './errors';
import { runtime } from './runtime';

export type CacheStatus = 'HIT' | 'MISS' | 'BYPASS';

/** An answer from the cache, or computed and kept. A cache that is away costs time, never the answer. */
export async function cached<T>(name: string, compute: () => Promise<T>): Promise<{ value: T; status: CacheStatus }> {
  const { config, stores, log } = runtime();
  const key = `taaleem:cache:${name}`;
  let status: CacheStatus = 'MISS';
  try {
    const found = await stores.cache.get(key);
    if (found !== null) return { value: JSON.parse(found) as T, status: 'HIT' };
  } catch (error) {
    log.warn('cache is away', describeError(error));
    status = 'BYPASS';
  }
  const value = await compute();
  if (status === 'MISS') {
    await stores.cache
      .set(key, JSON.stringify(value), { expiration: { type: 'EX', value: config.cacheTtlSeconds } })
      .catch((error: unknown) => log.warn('cache is away', describeError(error)));
  }
  return { value, status };
}

export async function invalidate(name: string): Promise<void> {
  const { stores, log } = runtime();
  await stores.cache.del(`taaleem:cache:${name}`).catch((error: unknown) => log.warn('cache is away', describeError(error)));
}
