/** Finding and installing a Redis server, with a PATH of stand-in programs. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureRedisServer, findRedisServer } from '@shoal/tools/redis-install';
import { afterEach, beforeEach, expect, test } from 'vitest';

let folder: string;
const said: string[] = [];
const say = (line: string) => void said.push(line);

beforeEach(() => {
  said.length = 0;
  folder = mkdtempSync(join(tmpdir(), 'shoal-path-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A program on the PATH of the test. */
function program(name: string, script: string): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}

/** An apt-get that logs its calls and whether services may start, and installs a server of the given version. */
function aptGet(policy: string, version = '7.0.15'): void {
  program(
    'apt-get',
    `echo "$1 $(${policy} >/dev/null 2>&1; echo $?)" >> ${folder}/apt.log
    if [ "$1" = install ]; then
      printf '#!/bin/sh\\necho "Redis server v=${version} sha=0"\\n' > ${folder}/redis-server
      /bin/chmod 755 ${folder}/redis-server
    fi`,
  );
}

test('redis-server comes before valkey-server, and either will do', () => {
  expect(findRedisServer(folder)).toBeNull();
  const valkey = program('valkey-server', '');
  expect(findRedisServer(folder)).toBe(valkey);
  const redis = program('redis-server', '');
  expect(findRedisServer(`/nowhere:${folder}`)).toBe(redis);
});

test('root with apt-get: says so, installs with services forbidden, and removes the ban', () => {
  const policy = join(folder, 'policy-rc.d');
  aptGet(policy);
  expect(ensureRedisServer(say, { path: folder, uid: 0, policy })).toBe(join(folder, 'redis-server'));
  expect(said).toEqual([expect.stringContaining('apt-get')]);
  expect(readFileSync(join(folder, 'apt.log'), 'utf8')).toBe('update 101\ninstall 101\n');
  expect(existsSync(policy)).toBe(false);
});

test('a policy of the machine’s own is left as it is', () => {
  const policy = program('policy-rc.d', 'exit 7');
  aptGet(policy);
  ensureRedisServer(say, { path: folder, uid: 0, policy });
  expect(readFileSync(join(folder, 'apt.log'), 'utf8')).toBe('update 7\ninstall 7\n');
  expect(readFileSync(policy, 'utf8')).toContain('exit 7');
});

test('a failing apt-get is one line with its reason, and removes the ban', () => {
  const policy = join(folder, 'policy-rc.d');
  program('apt-get', 'echo "E: no route to host" >&2; exit 100');
  const ensure = () => ensureRedisServer(say, { path: folder, uid: 0, policy });
  expect(ensure).toThrow(
    /^apt-get update failed \(E: no route to host\): install redis-server by hand or set REDIS_URL\.$/,
  );
  expect(existsSync(policy)).toBe(false);
});

test('without root or without apt-get: one line of instruction, nothing is run', () => {
  expect(() => ensureRedisServer(say, { path: folder, uid: 0 })).toThrow(
    /^no Redis: install one .* or set REDIS_URL\.$/,
  );
  aptGet(join(folder, 'policy-rc.d'));
  expect(() => ensureRedisServer(say, { path: folder, uid: 1000 })).toThrow(/^no Redis: /);
  expect(existsSync(join(folder, 'apt.log'))).toBe(false);
});

test('a server that is too old is refused', () => {
  program('redis-server', 'echo "Redis server v=6.0.16 sha=0"');
  expect(() => ensureRedisServer(say, { path: folder })).toThrow('is version 6; Redis 7 or newer is needed');
});
