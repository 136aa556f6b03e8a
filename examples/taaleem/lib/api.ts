import { isAway } from './database';
import { describeError } from './errors';
import { runtime } from './runtime';
import { currentUser, type User } from './sessions';

/** An answer that is no success, with a code for programs and a sentence for people. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers: { 'Cache-Control': 'no-store', ...headers } });
}

/** Runs a route: refusals become their answer; anything else is logged and tells the client nothing. */
export async function answer(work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApiError) return json({ error: error.code, message: error.message }, error.status, error.headers);
    const away = isAway(error) || isStoreAway(error) || isBucketAway(error);
    runtime().log.error('route failed', describeError(error));
    if (away) return json({ error: 'unavailable', message: 'A service this needs is away. Try again.' }, 503, { 'Retry-After': '1' });
    return json({ error: 'internal', message: 'Something went wrong.' }, 500);
  }
}

/** The user of this request's session, or 401. */
export async function requireUser(): Promise<User> {
  const user = await currentUser();
  if (!user) throw new ApiError(401, 'unauthenticated', 'Log in first.');
  return user;
}

/**
 * Refuses a change that another site's page sent with the user's cookie. Browsers say so themselves in Sec-Fetch-Site;
 * older ones send Origin, compared by host name, as a proxy may have dropped the port from Host.
 */
export function requireSameOrigin(request: Request): void {
  const site = request.headers.get('sec-fetch-site');
  if (site === 'same-origin' || site === 'none') return;
  const origin = request.headers.get('origin');
  if (site === null && origin === null) return; // not a browser
  const host = request.headers.get('x-forwarded-host') ?? request.headers.get('host') ?? '';
  const same = site === null && origin !== null && URL.canParse(origin) && new URL(origin).hostname === new URL(`http://${host}`).hostname;
  if (!same) throw new ApiError(403, 'cross_origin', 'This request came from another site.');
}

const LARGEST_BODY_BYTES = 64 * 1024;

export async function readJson(request: Request): Promise<Record<string, unknown>> {
  if (!request.headers.get('content-type')?.startsWith('application/json')) {
    throw new ApiError(415, 'unsupported_media_type', 'Send application/json.');
  }
  if (Number(request.headers.get('content-length') ?? 0) > LARGEST_BODY_BYTES) {
    throw new ApiError(413, 'too_large', 'The body is too large.');
  }
  const body: unknown = await request.json().catch(() => undefined);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError(400, 'bad_json', 'The body is not a JSON object.');
  }
  return body as Record<string, unknown>;
}

function isStoreAway(error: unknown): boolean {
  return error instanceof Error && /Client(Offline|Closed)|Socket(Closed|Timeout)|(Connection|Command)?Timeout|Disconnects/.test(error.constructor.name + error.name);
}

/** S3 has trouble or cannot be reached, or nobody gave credentials. That it refuses them (403) is for an operator: another try would not help. */
function isBucketAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? 0;
  const unreachable = /^(ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/.test((error as NodeJS.ErrnoException).code ?? '');
  return unreachable || status >= 500 || status === 429 || error.name === 'CredentialsProviderError';
}
