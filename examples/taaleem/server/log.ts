import { AsyncLocalStorage } from 'node:async_hooks';

import type { Fields } from '../lib/errors';

/** What is known of the request that the current code runs for. */
export interface RequestContext {
  requestId: string;
  clientAddress: string;
}

export type Level = 'info' | 'warn' | 'error';

export interface Log {
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

export const requestContext = new AsyncLocalStorage<RequestContext>();

/** One JSON object a line on stdout. Callers pass names, codes and durations: never a body, a query string or a person. */
export function createLog(fixed: Fields): Log {
  const write = (level: Level, message: string, fields: Fields = {}) => {
    const requestId = requestContext.getStore()?.requestId;
    const line = { time: new Date().toISOString(), level, message, ...fixed, request_id: requestId, ...fields };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  };
  return {
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
  };
}
