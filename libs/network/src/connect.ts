/**
 * A TCP connection to whichever of a host's addresses answers first (Happy Eyeballs, RFC 8305): an address that is silent
 * is not given up, the next one is tried beside it. Node's own version gives each address 250 ms and leaves it for ever.
 */
import { connect as connectTcp, type Socket } from 'node:net';

/** RFC 8305 recommends 250 ms between attempts. */
const NEXT_MS = 250;
/** Addresses that are tried; a name may have any number. */
const MAX_ADDRESSES = 8;

/** Begins to connect. */
export type Dial = (address: string, port: number) => Socket;

const dialTcp: Dial = (host, port) => connectTcp({ host, port });

/**
 * Resolves to a connected socket; the others are destroyed. Rejects with the last address's error once all have failed, or
 * as soon as `signal` aborts. `addresses` are IP addresses, of which there is at least one.
 */
export function connectFirst(
  addresses: readonly string[],
  port: number,
  signal: AbortSignal,
  dial: Dial = dialTcp,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const waiting = alternate(addresses).slice(0, MAX_ADDRESSES);
    const sockets = new Set<Socket>();
    let timer: NodeJS.Timeout | undefined;
    const settle = (winner?: Socket) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      for (const socket of sockets) if (socket !== winner) socket.destroy();
    };
    const onAbort = () => {
      settle();
      reject(signal.reason as Error);
    };
    const next = () => {
      clearTimeout(timer);
      const address = waiting.shift();
      if (address === undefined) return;
      const socket = dial(address, port);
      sockets.add(socket);
      socket.once('connect', () => {
        socket.removeListener('error', onError);
        settle(socket);
        resolve(socket);
      });
      const onError = (error: Error) => {
        sockets.delete(socket);
        if (waiting.length > 0) next();
        else if (sockets.size === 0) {
          settle();
          reject(error);
        }
      };
      socket.once('error', onError);
      if (waiting.length > 0) timer = setTimeout(next, NEXT_MS);
    };
    if (signal.aborted) onAbort();
    else {
      signal.addEventListener('abort', onAbort, { once: true });
      next();
    }
  });
}

/** The families by turns, so that one that leads nowhere does not come first with all of its addresses. */
function alternate(addresses: readonly string[]): string[] {
  const isV6 = (address: string) => address.includes(':');
  const v4 = addresses.filter((address) => !isV6(address));
  const v6 = addresses.filter(isV6);
  const longest = Math.max(v4.length, v6.length);
  return Array.from({ length: longest }, (_, n) => [v4[n], v6[n]])
    .flat()
    .filter((address) => address !== undefined);
}
