/** The JSON of an answer; a refusal becomes an Error with the sentence that the server wrote for people. */
export async function requestJson<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(path, init).catch(() => undefined);
  if (response === undefined) throw new Error('The server did not answer. Try again.');
  const body = await response.json().catch(() => ({}));
  if (response.status === 401 && path !== '/api/login') window.location.assign('/login');
  if (!response.ok) throw new Error(body.message ?? `The server answered ${response.status}. Try again.`);
  return body as T;
}

export function postJson<T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
  return requestJson<T>(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'Something went wrong.';
}
