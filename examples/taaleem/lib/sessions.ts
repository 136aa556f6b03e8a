import { createHmac, randomBytes } from 'node:crypto';
import { cookies } from 'next/headers';

import { runtime } from './runtime';

export interface User {
  id: string;
  username: string;
  name: string;
}

export const COOKIE = 'sid';

/** The store knows only a keyed hash: who reads a dump of it cannot log in with what it holds. */
function keyOf(sid: string): string {
  return `taaleem:session:${createHmac('sha256', runtime().config.sessionSecret).update(sid).digest('base64url')}`;
}

export async function createSession(user: User): Promise<void> {
  const { config, stores } = runtime();
  const sid = randomBytes(32).toString('base64url');
  await stores.sessions.set(keyOf(sid), JSON.stringify(user), { expiration: { type: 'EX', value: config.sessionTtlSeconds } });
  cookies().set(COOKIE, sid, { httpOnly: true, secure: true, sameSite: 'lax', path: '/', maxAge: config.sessionTtlSeconds });
}

/** The session is in Redis alone, so any instance on any host knows it; each use prolongs it. */
export async function currentUser(): Promise<User | undefined> {
  const sid = cookies().get(COOKIE)?.value;
  if (!sid) return undefined;
  const { config, stores } = runtime();
  const found = await stores.sessions.getEx(keyOf(sid), { type: 'EX', value: config.sessionTtlSeconds });
  return found ? (JSON.parse(found) as User) : undefined;
}

export async function endSession(): Promise<void> {
  const sid = cookies().get(COOKIE)?.value;
  if (sid) await runtime().stores.sessions.del(keyOf(sid));
  cookies().set(COOKIE, '', { httpOnly: true, secure: true, sameSite: 'lax', path: '/', maxAge: 0 });
}
