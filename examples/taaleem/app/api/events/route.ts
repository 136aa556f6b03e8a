import { ApiError, answer } from '@/lib/api';
import { runtime } from '@/lib/runtime';

export const dynamic = 'force-dynamic';

const RECONNECT_MS = 2_000;

/** A stream of heartbeats, so that the page knows which instance it hangs on and notices when that one goes away. */
export function GET(request: Request): Promise<Response> {
  return answer(async () => {
    const { config, draining, live } = runtime();
    if (draining || live.size >= config.maxLiveConnections) throw new ApiError(503, 'unavailable', 'Try again.', { 'Retry-After': '1' });
    return new Response(heartbeats(request.signal), {
      headers: {
        'Content-Type': 'text/event-stream; charset=utf-8',
        'Cache-Control': 'no-store, no-transform',
        'X-Accel-Buffering': 'no',
      },
    });
  });
}

function heartbeats(signal: AbortSignal): ReadableStream<Uint8Array> {
  const { config, live } = runtime();
  const encoder = new TextEncoder();
  let stop = () => {};
  return new ReadableStream({
    start(controller) {
      const send = (event: string) => {
        const data = JSON.stringify({ instance: config.instance, release: config.release, time: new Date().toISOString() });
        controller.enqueue(encoder.encode(`event: ${event}\ndata: ${data}\n\n`));
      };
      const timer = setInterval(() => send('heartbeat'), config.eventsHeartbeatMs);
      const farewell = () => {
        send('goodbye');
        controller.close();
        stop();
      };
      stop = () => {
        clearInterval(timer);
        live.delete(farewell);
      };
      live.add(farewell);
      signal.addEventListener('abort', () => stop());
      controller.enqueue(encoder.encode(`retry: ${RECONNECT_MS}\n\n`));
      send('hello');
    },
    cancel: () => stop(),
  });
}
