import { createHash } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';

/** What arrived. */
export interface Received {
  size: number;
  sha256: string;
}

/** Where uploads are kept. Memory does not grow with the file, and a file is there under its name only when it is whole. */
export interface Uploads {
  /** Keeps the whole body, or nothing and rejects. How large it may be is the edge's business. */
  receive(id: string, body: ReadableStream): Promise<Received>;
  /** Takes away what `receive` has kept. */
  remove(id: string): Promise<void>;
  close(): void;
}

/** Passes a body on and measures it. */
export class Meter extends Transform {
  private readonly hash = createHash('sha256');
  /** Not `size`: AWS's SDK would take that of a stream for how long it is going to be. */
  private bytes = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.hash.update(chunk);
    this.bytes += chunk.length;
    done(null, chunk);
  }

  /** Once, when all has passed. */
  received(): Received {
    return { size: this.bytes, sha256: this.hash.digest('hex') };
  }
}
