/** Answers of a hub as a broken or hostile one gives them: one change at a time, the same ones for the same seed. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** mulberry32: a whole number below n. */
export function seeded(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

const ODD: readonly unknown[] = [
  ...[0, 1, -1, 1.5, 2 ** 31, 2 ** 53, 1e308, '', null, true, [], {}, [[]], { a: 1 }],
  ...[
    '..',
    '../../evil',
    '/etc/passwd',
    'a/../../evil.json',
    'a\\..\\evil',
    'c:evil',
    'é\0',
    '\u202egnp.json',
    '__proto__',
  ],
  ...[
    'model.safetensors',
    'config.json',
    'x'.repeat(300),
    'a/'.repeat(20),
    'a'.repeat(40),
    'f'.repeat(64),
    'file',
    'directory',
  ],
];

const LOCATIONS: readonly string[] = [
  ...[
    'http://127.0.0.1:1/x',
    'https://10.0.0.1/x',
    'https://169.254.169.254/latest',
    'https://[::1]/x',
    'https://localhost/x',
  ],
  ...[
    'https://[::ffff:127.0.0.1]/',
    'https://0x7f000001/',
    'https://2130706433/',
    'https://127.1/',
    'http://[fe80::1]/',
  ],
  ...[
    'file:///etc/passwd',
    'javascript:alert(1)',
    'data:text/plain,x',
    '//10.0.0.1/x',
    '',
    '/',
    '?',
    '..',
    'http://',
    'http://[',
  ],
  ...['https://me:canary@10.0.0.1/', `/${'x'.repeat(9000)}`, '/blobs/none', 'gopher://a', 'ws://127.0.0.1/'],
];

const STATUSES: readonly number[] = [
  ...[
    200, 201, 204, 206, 300, 301, 302, 304, 307, 308, 400, 401, 402, 403, 404, 409, 410, 412, 416, 418, 429, 451, 500,
    502, 503,
  ],
];

const CODES: readonly string[] = [
  'GatedRepo',
  'RepoNotFound',
  'RevisionNotFound',
  'EntryNotFound',
  'DisabledRepo',
  'Other',
];

/** Changes one place of a JSON value, anywhere below. */
function mutateJson(json: unknown, pick: (n: number) => number): unknown {
  const odd = () => ODD[pick(ODD.length)];
  if (typeof json !== 'object' || json === null || pick(8) === 0) return odd();
  const keys = Object.keys(json);
  if (keys.length === 0) return odd();
  const copy: Record<string, unknown> | unknown[] = Array.isArray(json) ? [...(json as unknown[])] : { ...json };
  const key = keys[pick(keys.length)] as keyof typeof copy;
  if (pick(6) === 0) delete copy[key];
  else (copy as Record<string, unknown>)[key as string] = mutateJson(copy[key], pick);
  return copy;
}

function mutateBytes(bytes: Buffer, pick: (n: number) => number): Buffer {
  const place = pick(bytes.length + 1);
  const kind = pick(4);
  if (kind === 0) return bytes.subarray(0, place);
  if (kind === 1) return Buffer.concat([bytes, bytes.subarray(place)]);
  if (kind === 2) return Buffer.concat([bytes.subarray(0, place), bytes.subarray(pick(bytes.length + 1))]);
  const copy = Buffer.from(bytes);
  if (copy.length > 0) copy[place % copy.length]! ^= 1 << pick(8);
  return copy;
}

function mutateText(text: Buffer, pick: (n: number) => number): Buffer {
  if (pick(3) === 0) return mutateBytes(text, pick);
  try {
    return Buffer.from(String(JSON.stringify(mutateJson(JSON.parse(text.toString()), pick))));
  } catch {
    return mutateBytes(text, pick);
  }
}

/** Raw bytes in place of an answer. */
const RAW: readonly string[] = [
  ...[
    '',
    'x',
    'HTTP/1.1',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/9.9 200 OK\r\n\r\n',
    'HTTP/1.1 999999 X\r\n\r\n',
    '\0\0\0\0',
    'SSH-2.0-x\r\n',
  ],
  `HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(10_000)}\r\n`,
  'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2000),
  'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
  'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffff\r\nx',
  'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n',
  'HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-99999999999999999999/5\r\n\r\nhello',
  'HTTP/1.0 200 OK\r\n\r\nhello',
];

/** Gives `body`, the honest answer with its headers, changed in one way. */
export function spoil(
  request: IncomingMessage,
  response: ServerResponse,
  honest: { readonly headers: Readonly<Record<string, string>>; readonly body: Buffer },
  pick: (n: number) => number,
): void {
  const { headers, body } = honest;
  const json = body[0] === 0x7b || body[0] === 0x5b;
  switch (pick(12)) {
    case 0:
      return void request.socket.end(RAW[pick(RAW.length)]!);
    case 1:
      return void response.writeHead(STATUSES[pick(STATUSES.length)]!, headers).end(body);
    case 2:
      return void response
        .writeHead(STATUSES[pick(STATUSES.length)]!, { 'x-error-code': CODES[pick(CODES.length)]! })
        .end(body);
    case 3:
      response.writeHead([301, 302, 303, 307, 308][pick(5)]!, { location: LOCATIONS[pick(LOCATIONS.length)]! });
      return void response.end();
    case 4:
      return void response
        .writeHead(200, { ...headers, 'content-length': body.length + 1 + pick(1000) })
        .end(body, () => {
          response.destroy();
        });
    case 5: {
      const [start, end, size] = [pick(body.length + 2), pick(body.length + 2), pick(2 * body.length + 1)];
      const range = ['', 'bytes', `bytes ${start}-${end}/${size}`, `bytes */${size}`, `bytes ${start}-${end}/*`][
        pick(5)
      ]!;
      return void response.writeHead(206, { ...headers, 'content-range': range }).end(body.subarray(start));
    }
    case 6:
      return void response
        .writeHead(200, { ...headers, 'content-encoding': ['gzip', 'br', 'x', ''][pick(4)]! })
        .end(body);
    case 7: {
      const etag = ['', '"x"', 'W/"x"', '"', 'é'][pick(5)]!;
      const link = [`<${LOCATIONS[pick(LOCATIONS.length)]}>; rel="next"`, '<', '<x>; rel="next"'][pick(3)]!;
      return void response.writeHead(200, { ...headers, etag: Buffer.from(etag).toString('latin1'), link }).end(body);
    }
    case 8:
      // Neither an answer, nor the rest of one. Seldom, since that takes its time.
      if (pick(30) > 0) return void response.writeHead(200, headers).end(mutateBytes(body, pick));
      if (pick(2) === 0) return;
      return void response
        .writeHead(200, { ...headers, 'content-length': body.length })
        .write(body.subarray(0, pick(5)) || 'x');
    default: {
      const changed = json ? mutateText(body, pick) : mutateBytes(body, pick);
      return void response
        .writeHead(200, { ...headers, ...(pick(2) === 0 && { 'content-length': body.length }) })
        .end(changed);
    }
  }
}
