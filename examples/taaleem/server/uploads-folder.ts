import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';

import { Meter, type Received, type Uploads } from './uploads';

/** On this host's disk: kept as long as the host is. */
export class FolderUploads implements Uploads {
  constructor(private readonly folder: string) {}

  /** Resolves when the file is on disk. */
  async receive(id: string, body: ReadableStream): Promise<Received> {
    const meter = new Meter();
    const partial = path.join(this.folder, `.${id}.partial`);
    await mkdir(this.folder, { recursive: true, mode: 0o750 });
    try {
      await pipeline(Readable.fromWeb(body), meter, createWriteStream(partial, { flags: 'wx', mode: 0o640, flush: true }));
      await rename(partial, path.join(this.folder, id));
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
    return meter.received();
  }

  async remove(id: string): Promise<void> {
    await rm(path.join(this.folder, id), { force: true });
  }

  close(): void {}
}
