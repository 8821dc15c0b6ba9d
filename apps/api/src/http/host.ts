/** Without API keys only this machine may call, so a web page must not reach the API through a name that it controls. */
import { ShoalError } from '@shoal/contracts';

const LOCAL_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;

/** Throws `foreign_host` unless the Host header names this machine (DNS rebinding arrives under another name). */
export function requireLocalHost(host: string | undefined): void {
  if (host !== undefined && LOCAL_HOST.test(host)) return;
  throw new ShoalError(
    'foreign_host',
    'Without API keys only localhost, 127.0.0.1 and [::1] are served; set SHOAL_API_KEYS to serve other names.',
  );
}

/** True where an address to listen on can be reached from this machine only. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(address);
}
