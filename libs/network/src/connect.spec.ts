import { once } from 'node:events';
import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { connectFirst, type Dial } from './connect.js';

/** The port of a listener on 127.0.0.1 alone. */
async function listen(): Promise<number> {
  const server = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** An address that begins with `192.` is silent; the sockets that were opened, by address. */
function network() {
  const opened = new Map<string, Socket>();
  const dial: Dial = (host, port) => {
    const socket = host.startsWith('192.') || host.includes(':') ? new Socket() : connect({ host, port });
    opened.set(host, socket);
    return socket;
  };
  return { opened, dial };
}

const never = new AbortController().signal;

test('an address that is silent holds up the next one for a moment only', async () => {
  const { dial, opened } = network();
  const port = await listen();
  const socket = await connectFirst(['192.0.2.1', '127.0.0.1'], port, never, dial);
  expect(socket.remoteAddress).toBe('127.0.0.1');
  expect(opened.get('192.0.2.1')?.destroyed).toBe(true);
  socket.destroy();
});

test('one that refuses does not hold it up at all, whichever comes first', async () => {
  const port = await listen();
  for (const addresses of [
    ['127.0.0.2', '127.0.0.1'],
    ['127.0.0.1', '127.0.0.2'],
  ]) {
    const socket = await connectFirst(addresses, port, never);
    expect(socket.remoteAddress).toBe('127.0.0.1');
    socket.destroy();
  }
});

test('an address that is slow is not given up while the next one is tried', async () => {
  const { dial, opened } = network();
  const connecting = connectFirst(['192.0.2.1', '192.0.2.2'], 1, never, dial);
  await expect.poll(() => opened.size).toBe(2);
  const slow = opened.get('192.0.2.1')!;
  slow.emit('connect');
  expect(await connecting).toBe(slow);
  expect([slow.destroyed, opened.get('192.0.2.2')?.destroyed]).toEqual([false, true]);
});

test('both families have their turn', async () => {
  const { dial, opened } = network();
  const late = new AbortController();
  const connecting = connectFirst(['192.0.2.1', '192.0.2.2', '2001:db8::1'], 1, late.signal, dial);
  await expect.poll(() => opened.size).toBe(3);
  expect([...opened.keys()]).toEqual(['192.0.2.1', '2001:db8::1', '192.0.2.2']);
  late.abort();
  await expect(connecting).rejects.toThrow();
  expect([...opened.values()].every(({ destroyed }) => destroyed)).toBe(true);
});

test('where all refuse, that is told', async () => {
  const port = await listen();
  await expect(connectFirst(['127.0.0.2', '127.0.0.3'], port, never)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});
