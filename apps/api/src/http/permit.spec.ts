import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startTestApi, type TestApi } from '../testing/start.js';
import { Permits } from './permit.js';
import { digestOf } from './tenant.js';

const ACME = { name: 'acme', weight: 1 };
const ZETA = { name: 'zeta', weight: 1 };
const BODY_BYTES = 64 * 1024;
const KEYS = [ACME, ZETA].map((tenant) => ({ tenant, digest: digestOf(`${tenant.name}-key`) }));

describe('permits', () => {
  test('bytes of bodies are bounded per tenant, and given back once', () => {
    const permits = new Permits(BODY_BYTES);
    const first = permits.take(ACME);
    first.hold(8 * BODY_BYTES);
    const second = permits.take(ACME);
    expect(() => second.hold(1)).toThrow('too many bytes of request bodies of yours');
    permits.take(ZETA).hold(BODY_BYTES);
    first.release();
    first.release();
    expect(() => first.hold(1)).toThrow('hung up');
    second.hold(7 * BODY_BYTES);
    expect(() => second.hold(BODY_BYTES)).toThrow('of yours');
  });

  test('open requests are bounded per tenant', () => {
    const permits = new Permits(BODY_BYTES);
    const refused = () => {
      for (let open = 0; ; open++) {
        try {
          permits.take(ACME);
        } catch (error) {
          return { open, error };
        }
      }
    };
    expect(refused()).toMatchObject({ open: 4096, error: { code: 'too_many_requests', retryAfter: 1 } });
    permits.take(ZETA).release();
  });

  test('of the requests of a tenant beside others a few begin in each turn of the event loop, and those of others between', async () => {
    const permits = new Permits(BODY_BYTES);
    const begun: string[] = [];
    const begin = async (tenant: typeof ACME) => {
      await permits.take(tenant).begin();
      begun.push(tenant.name);
    };
    permits.take(ZETA);
    await Promise.all([...Array.from({ length: 30 }, () => begin(ACME)), begin(ZETA)]);
    expect(begun).toHaveLength(31);
    expect(begun.indexOf(ZETA.name)).toBe(8);
  });

  test('the requests of a tenant that is alone begin at once', async () => {
    const permits = new Permits(BODY_BYTES);
    let begun = 0;
    for (let n = 0; n < 30; n++) {
      permits
        .take(ACME)
        .begin()
        .then(() => begun++);
    }
    await Promise.resolve();
    expect(begun).toBe(30);
  });

  test('a request whose caller has gone before its turn does not begin', async () => {
    const permits = new Permits(BODY_BYTES);
    permits.take(ZETA);
    const all = Array.from({ length: 9 }, () => permits.take(ACME));
    const begun = Promise.allSettled(all.map((permit) => permit.begin()));
    all[8]!.release();
    expect((await begun).map(({ status }) => status)).toEqual([...new Array(8).fill('fulfilled'), 'rejected']);
  });

  test('who is not alone rests after work, for twice as long as it took', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
    try {
      const permits = new Permits(BODY_BYTES);
      const work = async () => {
        const permit = permits.take(ACME);
        permit.hold(BODY_BYTES);
        await permit.startWork();
        return permit;
      };
      const first = await work();
      vi.advanceTimersByTime(10);
      first.endWork();
      const second = await work();
      permits.take(ZETA);
      vi.advanceTimersByTime(10);
      let begun = false;
      const third = work().then(() => {
        begun = true;
      });
      second.endWork();
      await vi.advanceTimersByTimeAsync(19);
      expect(begun).toBe(false);
      await vi.advanceTimersByTimeAsync(1);
      await third;
    } finally {
      vi.useRealTimers();
    }
  });

  test('a turn is not begun for a caller that has gone meanwhile, and frees the lane', async () => {
    const permits = new Permits(BODY_BYTES);
    const large = () => {
      const permit = permits.take(ACME);
      permit.hold(BODY_BYTES);
      return permit;
    };
    const first = large();
    await first.startWork();
    const gone = large();
    const turn = gone.startWork();
    gone.release();
    const next = large().startWork();
    first.endWork();
    await expect(turn).rejects.toThrow('hung up');
    await next;
  });
});

describe('over HTTP', () => {
  let api: TestApi;
  const sockets: Socket[] = [];
  beforeEach(async () => {
    api = await startTestApi({ keys: KEYS, maxBodyBytes: BODY_BYTES });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await api.close();
  });

  /** A body of full size that never ends: its last byte does not come. */
  async function sendMost(key: string): Promise<Socket> {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    sockets.push(socket);
    const head = `POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n`;
    socket.write(`${head}Content-Type: application/json\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`);
    await new Promise<void>((resolve) => socket.write(Buffer.alloc(BODY_BYTES - 1, 0x20), () => resolve()));
    return socket;
  }

  const submit = (key: string) => {
    const body = { model: 'embed', input: 'small fish', parameters: {} };
    const padded = JSON.stringify(body).padEnd(BODY_BYTES / 2);
    return api.request('POST', '/v1/jobs', padded, { authorization: `Bearer ${key}` });
  };

  test('a tenant whose bodies fill its share gets 429 with Retry-After; another one is served', async () => {
    for (let n = 0; n < 8; n++) await sendMost('acme-key');
    await expect.poll(async () => (await submit('acme-key')).status).toBe(429);
    const refused = await submit('acme-key');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ code: 'too_many_requests', retryable: true });
    expect((await submit('zeta-key')).status).toBe(202);
  });

  test('what callers held is given back when they hang up', async () => {
    const open = await Promise.all(Array.from({ length: 8 }, () => sendMost('acme-key')));
    await expect.poll(async () => (await submit('acme-key')).status).toBe(429);
    for (const socket of open) socket.destroy();
    await expect.poll(async () => (await submit('acme-key')).status).toBe(202);
  });

  test('what was held is given back when the body was refused', async () => {
    for (let n = 0; n < 20; n++) {
      const broken = '{"model":'.padEnd(BODY_BYTES);
      const response = await api.request('POST', '/v1/jobs', broken, { authorization: 'Bearer acme-key' });
      expect(response.status).toBe(400);
      await response.arrayBuffer();
    }
    expect((await submit('acme-key')).status).toBe(202);
  });

  test.each([
    ['waits', 'result'],
    ['event streams', 'events'],
  ])('pipelined %s hold nothing any more when their connection ends', async (_, kind) => {
    api.store.immediate = false;
    const authorization = 'Authorization: Bearer acme-key\r\n';
    const body = JSON.stringify({ model: 'embed', input: 'small fish' }).padEnd(BODY_BYTES);
    const { id } = (await (await submit('acme-key')).json()) as { id: string };
    const request =
      kind === 'events'
        ? `GET /v1/jobs/${id}/events HTTP/1.1\r\nHost: localhost\r\n${authorization}\r\n`
        : `POST /v1/jobs?wait=60 HTTP/1.1\r\nHost: localhost\r\n${authorization}` +
          `Content-Type: application/json\r\nContent-Length: ${BODY_BYTES}\r\n\r\n${body}`;
    const waiting = async () => {
      const gauge = await api.registry.getSingleMetric('shoal_waiters')!.get();
      return gauge.values.find(({ labels }) => labels.kind === kind)?.value;
    };
    // A tenant that is alone may hold eight bodies: a second round has room where the first left nothing behind.
    for (let round = 0; round < 2; round++) {
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
      sockets.push(socket);
      socket.on('error', () => undefined).resume();
      socket.write(request.repeat(7));
      await expect.poll(waiting, { timeout: 20_000 }).toBe(7);
      socket.destroy();
      await expect.poll(waiting).toBe(0);
    }
    expect((await submit('acme-key')).status).toBe(202);
  });

  test('a body that stops coming in the middle is no failure of the server', async () => {
    const socket = await sendMost('acme-key');
    socket.destroy();
    await once(socket, 'close');
    expect((await submit('acme-key')).status).toBe(202);
    expect(api.logged).toEqual([]);
  });
});
