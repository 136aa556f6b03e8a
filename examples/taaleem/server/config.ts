import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';

export interface BucketConfig {
  bucket: string;
  region: string;
  /** The bucket is named in the path, as an endpoint of one's own seldom has a name for each. */
  pathStyle: boolean;
}

export type UploadsConfig = { folder: string } | BucketConfig;

/** Everything the process takes from outside, checked once at start. */
export interface Config {
  host: string;
  port: number;
  instance: string;
  release: string;
  databaseUrl: string;
  databaseReadUrl: string;
  databasePoolMax: number;
  databasePoolTimeoutMs: number;
  redisUrls: { sessions: string; cache: string; rateLimit: string };
  redisCaFile: string | undefined;
  sessionSecret: string;
  sessionTtlSeconds: number;
  cacheTtlSeconds: number;
  loginLimitPerUser: number;
  loginLimitPerAddress: number;
  loginWindowSeconds: number;
  trustedProxies: string[];
  uploads: UploadsConfig;
  keepAliveTimeoutMs: number;
  drainDelayMs: number;
  drainIdleMs: number;
  killTimeoutMs: number;
  eventsHeartbeatMs: number;
  maxLiveConnections: number;
}

export class ConfigError extends Error {}

/** Reads one environment and collects every problem before it fails. */
export class Environment {
  readonly problems: string[] = [];

  constructor(private readonly values: NodeJS.ProcessEnv) {}

  text(name: string, fallback?: string, minimumLength = 1): string {
    const value = this.values[name] || fallback;
    if (value === undefined) {
      this.problems.push(`${name} is not set`);
      return '';
    }
    if (value.length < minimumLength) this.problems.push(`${name} is shorter than ${minimumLength} characters`);
    return value;
  }

  number(name: string, fallback: number, minimum: number, maximum: number): number {
    const value = this.values[name] ? Number(this.values[name]) : fallback;
    if (!Number.isInteger(value) || value < minimum || value > maximum) {
      this.problems.push(`${name} must be a whole number from ${minimum} to ${maximum}`);
    }
    return value;
  }

  url(name: string, protocols: string[], fallback?: string): string {
    const value = this.text(name, fallback);
    if (value && !(URL.canParse(value) && protocols.includes(new URL(value).protocol))) {
      this.problems.push(`${name} must be a URL that begins with ${protocols.join('// or ')}//`);
    }
    return value;
  }

  /** A folder or a bucket. Beside the bucket's name, AWS's SDK reads its own variables; those that must be right are checked. */
  uploads(): UploadsConfig {
    const { UPLOADS_DIR: folder, UPLOADS_BUCKET: bucket } = this.values;
    if (Boolean(folder) === Boolean(bucket)) this.problems.push('exactly one of UPLOADS_DIR and UPLOADS_BUCKET must be set');
    if (!bucket) return { folder: folder ?? '' };
    if (!BUCKET.test(bucket)) this.problems.push('UPLOADS_BUCKET must be the name of a bucket: 3 to 63 lower-case letters, digits, hyphens and dots');
    const region = this.text('AWS_REGION');
    const pathStyle = Boolean(this.values.AWS_ENDPOINT_URL_S3);
    if (pathStyle) this.url('AWS_ENDPOINT_URL_S3', ['https:', 'http:']);
    return { bucket, region, pathStyle };
  }

  list(name: string): string[] {
    return (this.values[name] ?? '').split(',').map((item) => item.trim()).filter(Boolean);
  }

  /** All problems in one error; values are never part of it, as most of them are secrets. */
  finish(): void {
    if (this.problems.length > 0) throw new ConfigError(this.problems.join('; '));
  }
}

/** ENV_FILE keeps secrets out of the process manager, which shows its environment to every operator. */
export function loadEnvFile(): void {
  if (process.env.ENV_FILE) process.loadEnvFile(process.env.ENV_FILE);
}

const POSTGRES = ['postgres:', 'postgresql:'];
const REDIS = ['rediss:', 'redis:'];
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const HOUR = 3600;

export function readConfig(directory: string, values: NodeJS.ProcessEnv = process.env): Config {
  const env = new Environment(values);
  const port = env.number('PORT', 5005, 1, 65535);
  const databaseUrl = env.url('DATABASE_URL', POSTGRES);
  const config: Config = {
    host: env.text('HOST', '127.0.0.1'),
    port,
    instance: env.text('INSTANCE_ID', `${hostname()}:${port}`),
    release: readRelease(directory),
    databaseUrl,
    databaseReadUrl: env.url('DATABASE_READ_URL', POSTGRES, databaseUrl),
    databasePoolMax: env.number('DATABASE_POOL_MAX', 20, 1, 200),
    databasePoolTimeoutMs: env.number('DATABASE_POOL_TIMEOUT_MS', 20_000, 100, 120_000),
    redisUrls: {
      sessions: env.url('REDIS_SESSIONS_URL', REDIS),
      cache: env.url('REDIS_CACHE_URL', REDIS),
      rateLimit: env.url('REDIS_RATE_LIMIT_URL', REDIS),
    },
    redisCaFile: values.REDIS_CA_FILE || undefined,
    sessionSecret: env.text('SESSION_SECRET', undefined, 32),
    sessionTtlSeconds: env.number('SESSION_TTL_SECONDS', 8 * HOUR, 60, 30 * 24 * HOUR),
    cacheTtlSeconds: env.number('CACHE_TTL_SECONDS', 30, 1, 24 * HOUR),
    loginLimitPerUser: env.number('LOGIN_LIMIT_PER_USER', 10, 1, 10_000),
    loginLimitPerAddress: env.number('LOGIN_LIMIT_PER_ADDRESS', 60, 1, 100_000),
    loginWindowSeconds: env.number('LOGIN_WINDOW_SECONDS', 300, 1, 24 * HOUR),
    trustedProxies: env.list('TRUSTED_PROXIES'),
    uploads: env.uploads(),
    keepAliveTimeoutMs: env.number('KEEP_ALIVE_TIMEOUT_MS', 75_000, 1_000, 600_000),
    drainDelayMs: env.number('DRAIN_DELAY_MS', 0, 0, 60_000),
    drainIdleMs: env.number('DRAIN_IDLE_MS', 1_000, 0, 60_000),
    killTimeoutMs: env.number('KILL_TIMEOUT_MS', 10_000, 1_000, 300_000),
    eventsHeartbeatMs: env.number('EVENTS_HEARTBEAT_MS', 15_000, 100, 60_000),
    maxLiveConnections: env.number('MAX_LIVE_CONNECTIONS', 1_000, 1, 100_000),
  };
  env.finish();
  return config;
}

/** Only the artifact has a manifest; a build by hand has none. */
function readRelease(directory: string): string {
  const manifest = path.join(directory, 'manifest.json');
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).release : 'unreleased';
}
