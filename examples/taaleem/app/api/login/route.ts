import { answer, ApiError, json, readJson, requireSameOrigin } from '@/lib/api';
import { audit } from '@/lib/audit';
import { withRetry } from '@/lib/database';
import { verifyPassword } from '@/lib/passwords';
import { forget, limit } from '@/lib/rate-limit';
import { runtime } from '@/lib/runtime';
import { createSession, endSession } from '@/lib/sessions';

export const dynamic = 'force-dynamic';

const LONGEST = 200;

interface Row {
  id: string;
  username: string;
  name: string;
  password_hash: string;
}

export function POST(request: Request): Promise<Response> {
  return answer(async () => {
    requireSameOrigin(request);
    const body = await readJson(request);
    const username = typeof body.username === 'string' ? body.username.trim().toLowerCase().slice(0, LONGEST) : '';
    const password = typeof body.password === 'string' ? body.password.slice(0, LONGEST) : '';
    const { config, databases, request: context } = runtime();
    const address = context.getStore()?.clientAddress ?? '';
    await limit('login-address', address, config.loginLimitPerAddress, config.loginWindowSeconds);
    await limit('login-user', username, config.loginLimitPerUser, config.loginWindowSeconds);

    const find = { name: 'user-by-name', text: 'SELECT id, username, name, password_hash FROM users WHERE username = $1', values: [username] };
    const row = (await withRetry(() => databases.primary.query<Row>(find))).rows[0];
    const genuine = await verifyPassword(password, row?.password_hash);
    if (!row || !genuine) {
      await audit(databases.primary, row?.id ?? null, 'login.refused', null);
      throw new ApiError(401, 'wrong_credentials', 'User name or password is wrong.');
    }
    await audit(databases.primary, row.id, 'login', null);
    await forget('login-user', username);
    await endSession(); // a session from before the login, perhaps planted, must not become the user's
    const user = { id: row.id, username: row.username, name: row.name };
    await createSession(user);
    return json({ user });
  });
}
