import { DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';

import type { BucketConfig } from './config';
import { Meter, type Received, type Uploads } from './uploads';

const CONNECT_TIMEOUT_MS = 5_000;
/** For one part; the SDK tries three times. */
const REQUEST_TIMEOUT_MS = 30_000;
/** The smallest that S3 takes. It allows 10,000 parts, so 48 GiB are the most that an upload can have. */
const PART_BYTES = 5 * 1024 * 1024;

/** In a bucket of S3, under the upload's id. Region, endpoint and credentials are found as everywhere with AWS's SDK. */
export class BucketUploads implements Uploads {
  private readonly client: S3Client;
  private readonly bucket: string;

  constructor(config: BucketConfig) {
    this.bucket = config.bucket;
    this.client = new S3Client({
      region: config.region,
      forcePathStyle: config.pathStyle,
      requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, throwOnRequestTimeout: true },
    });
  }

  /** Resolves when S3 has confirmed the whole. What S3 encrypts it with is the bucket's own choice. */
  async receive(id: string, body: ReadableStream): Promise<Received> {
    const meter = new Meter();
    // One part after the other: two of them are all the memory that an upload takes, however fast its client is.
    const upload = new Upload({
      client: this.client,
      params: { Bucket: this.bucket, Key: id, Body: meter },
      partSize: PART_BYTES,
      queueSize: 1,
      leavePartsOnError: false,
    });
    // Not awaited before the upload is: where S3 refuses, its end comes with the client's next bytes, and it has no more to say.
    const reading = pipeline(Readable.fromWeb(body), meter);
    reading.catch(() => undefined);
    try {
      await upload.done(); // fails with the body where that breaks off
      await reading;
    } catch (error) {
      // An answer that was lost may have been a yes. Before the body's end there is nothing that could have its name.
      if (meter.writableFinished) await this.remove(id).catch(() => undefined);
      throw error;
    } finally {
      meter.destroy();
    }
    return meter.received();
  }

  async remove(id: string): Promise<void> {
    await this.client.send(new DeleteObjectCommand({ Bucket: this.bucket, Key: id }));
  }

  close(): void {
    this.client.destroy();
  }
}
