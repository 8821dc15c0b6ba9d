import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ConfigError, readConfig } from './read-config.js';
import { redisVariables } from './redis.js';

const schema = z.object(redisVariables);

function faultOf(REDIS_URL: string): string | null {
  try {
    readConfig(schema, { REDIS_URL });
    return null;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message;
  }
}

describe('taken as they are', () => {
  test.each([
    'redis://localhost',
    'redis://localhost:6379/',
    'REDIS://host/0',
    'rediss://redis.example.com:6380/15',
    'redis://10.0.0.1:1',
    'redis://[::1]:6379',
    'redis://[fe80::1]/3',
    'redis://user:p%40ss%2Fw%23rd@my_host',
    'redis://:secret@host',
    'redis://user@host',
    'redis://user:@host',
    // The last @ is the one before the host.
    'redis://:p@ss@host',
    'redis://:p\\ss@host',
  ])('%s', (url) => expect(faultOf(url)).toBeNull());
});

describe('refused by the name of the variable, with advice, and without anything of the value', () => {
  test.each([
    ['redis://:pazzwort%zz@vault', /has a % that is no percent-encoding.* must be percent-encoded/],
    ['redis://pazzwort%:x@vault', /has a % that is no percent-encoding/],
    ['redis://:p@pazz/w#rd@vault', /must not have a #; .* must be percent-encoded/],
    ['redis://:p#pazzwort@vault', /must be percent-encoded/],
    ['redis://:pazz/wort@vault', /must be percent-encoded/],
    ['redis://u:12/pazzwort@vault', /must have nothing behind the host but the number of a database; .*encoded/],
    ['redis://:p?pazzwort@vault', /must be percent-encoded/],
    ['redis://pazz%41,vault:6379', /names a host that cannot be one/],
    ['redis://:pazz wort@vault', /must not contain spaces/],
    ['redis://:pazz\twort@vault', /must not contain spaces/],
    [' redis://vault', /must not contain spaces/],
    ['redis://vault?db=1', /must not have a \?: a database is written \/1/],
    ['redis://vault/pazz', /must have nothing behind the host but the number of a database/],
    ['redis://vault/1/2', /must have nothing behind the host/],
    ['redis://vault/-1', /must have nothing behind the host/],
    ['redis://vault:0', /must have a port from 1 to 65535/],
    ['redis://vault:99999', /must be a URL such as/],
    ['redis://vault:pazz', /must be a URL such as/],
    ['redis://', /must be a URL such as|names no host/],
    ['redis:///0', /names no host/],
    ['redis://:6379', /must be a URL such as|names no host/],
    ['redis://:pazz@', /must be a URL such as|names no host/],
    ['redis:vault', /must be a URL that starts with redis:\/\/ or rediss:\/\//],
    ['vault:6379', /must be a URL that starts with/],
    ['rediss+pazz://vault', /must be a URL that starts with/],
    ['redis+unix:///run/vault.sock', /must be a URL that starts with/],
    ['/run/vault.sock', /must be a URL that starts with/],
    ['http://vault', /must be a URL that starts with/],
    ['redis://[::1', /must be a URL such as/],
    ['redis://fe80::1:6379', /must be a URL such as/],
  ])('%j', (url, reason) => {
    const fault = faultOf(url);
    expect(fault).toMatch(/^REDIS_URL: /);
    expect(fault).toMatch(reason);
    expect(fault).not.toMatch(/pazz|wort|vault|zz@/);
  });
});
