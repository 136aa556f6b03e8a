/** What a line of the log may hold beside its message. */
export type Fields = Record<string, string | number | boolean | null | undefined>;

/** What may be said of an error in a log: messages of the database quote values, so only class and code. */
export function describeError(error: unknown): Fields {
  if (!(error instanceof Error)) return { error: typeof error };
  const code = (error as NodeJS.ErrnoException).code;
  const frame = error.stack?.split('\n').find((line) => line.trimStart().startsWith('at '))?.trim();
  return { error: error.name, code: code ?? null, at: frame ?? null };
}
