// @ts-check
/**
 * `node secrets.mjs <folder>`: the passwords and keys of docker-compose.yml's services, made once. Files that are there stay
 * as they are; the folder's group reads them.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2] ?? '/run/shoal';

/**
 * @param {string} name
 * @param {() => string} make
 */
function keep(name, make) {
  const path = join(folder, name);
  if (!existsSync(path)) {
    // Renamed when it is whole: a start that is cut short leaves no half of a key.
    writeFileSync(`${path}.new`, make(), { mode: 0o440 });
    renameSync(`${path}.new`, path);
  }
  return readFileSync(path, 'utf8');
}

// A user of Redis for each kind of process (docker/redis/users.acl).
for (const [file, user] of [
  ['redis', 'shoal'],
  ['redis-worker', 'shoal-worker'],
  ['redis-webhooks', 'shoal-webhooks'],
]) {
  const password = keep(`${file}-password`, () => randomBytes(32).toString('hex'));
  keep(`${file}-url`, () => `redis://${user}:${password}@redis:6379`);
}
keep('secret-key', () => randomBytes(32).toString('base64'));
keep('grafana-password', () => randomBytes(16).toString('hex'));
