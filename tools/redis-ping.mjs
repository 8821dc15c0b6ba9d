// @ts-check
/** Asks a Redis server whether it answers, over a bare socket, since this runs before any package is installed. */
import { connect, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { UserError } from './user-error.mjs';

/**
 * Resolves once the server at `url` answers PING; throws a UserError that says why not, without the URL's password.
 *
 * @param {string} url redis:// or rediss://
 * @param {object} [options]
 * @param {string | undefined} [options.ca] certificates (PEM) of the authorities to trust in place of the system's
 * @param {number} [options.ms] how long to wait for each answer
 */
export async function pingRedis(url, { ca, ms = 5000 } = {}) {
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) {
    throw new UserError('REDIS_URL must be a URL that starts with redis:// or rediss://.');
  }
  const { protocol, hostname, port, username, password } = new URL(url);
  const address = `${protocol}//${hostname}${port ? `:${port}` : ''}`;
  const login = [username || (password && 'default'), password].filter(Boolean).map(decodeURIComponent);
  const commands = [...(password ? [['AUTH', ...login]] : []), ['PING']];
  const answer = await exchange(new URL(url), commands, { ca, ms }).catch((error) => {
    throw new UserError(`Redis at ${address} does not answer (${error.code ?? error.message}).`);
  });
  if (answer !== 'PONG') throw new UserError(`Redis at ${address} refuses: ${answer}`);
}

/**
 * Sends the commands one after the other; resolves to the last answer, or to the first that is an error.
 *
 * @param {URL} url
 * @param {string[][]} commands
 * @param {{ ca: string | undefined, ms: number }} options
 * @returns {Promise<string>}
 */
function exchange(url, commands, { ca, ms }) {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const target = { host, port: Number(url.port || 6379) };
  const socket =
    url.protocol === 'rediss:'
      ? connectTls({ ...target, ...(isIP(host) === 0 && { servername: host }), ...(ca !== undefined && { ca }) })
      : connect(target);
  return new Promise((resolve, reject) => {
    let buffer = '';
    let next = 0;
    const send = () => socket.write(encode(commands[next++] ?? []));
    socket.setTimeout(ms, () => socket.destroy(new Error(`no answer within ${ms / 1000} s`)));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the connection was closed')));
    socket.setEncoding('latin1').on('data', (text) => {
      buffer += text;
      const end = buffer.indexOf('\r\n');
      if (end < 0) return;
      const line = buffer.slice(0, end);
      buffer = buffer.slice(end + 2);
      if (line.startsWith('+') && next < commands.length) return send();
      resolve(line.replace(/^[+-]/, ''));
      socket.destroy();
    });
    send();
  });
}

/**
 * A command in Redis's wire format, which takes any bytes in a password.
 *
 * @param {string[]} command
 */
function encode(command) {
  const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`);
  return `*${parts.length}\r\n${parts.join('')}`;
}
