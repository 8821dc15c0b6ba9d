/** Ports that a process listens on: how they are written, and what is told where one cannot be had. */
import { ConfigError } from './read-config.js';

/** `http://127.0.0.1:8080`; an IPv6 address has brackets. */
export function httpOrigin(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is taken; set another one, or 0 for any that is free',
  EACCES: 'may not be used by this user; set one above 1023',
  EADDRNOTAVAIL: 'cannot be had: this machine does not have the address',
};

/** For `catch`: a port that cannot be had is a fault of the configuration, told by the variable that names it. */
export function blamePort(variable: string, host: string, port: number): (error: unknown) => never {
  return (error) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const reason = REASONS[code];
    if (reason === undefined) throw error;
    throw new ConfigError([{ variable, message: `port ${port} of ${host} ${reason}` }]);
  };
}
