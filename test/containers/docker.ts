/** Docker and Compose as commands. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { ROOT } from '../support/processes.js';

/** What a command prints; rejects with the end of it where the command fails. */
export async function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const child = spawn(file, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    printed += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const [code] = await once(child, 'close');
  if (code === 0) return output.trim();
  throw new Error(`${file} ${args.join(' ')} ended with ${code}:\n${printed.split('\n').slice(-40).join('\n')}`);
}

export const docker = (...args: string[]) => run('docker', args);

/** Compose v2 where Docker has it, else docker-compose. */
const COMPOSE =
  spawnSync('docker', ['compose', 'version'], { stdio: 'ignore' }).status === 0
    ? ['docker', 'compose']
    : ['docker-compose'];

export class Compose {
  readonly #env: NodeJS.ProcessEnv;

  /** `env` is what .env would hold. */
  constructor(
    readonly project: string,
    env: NodeJS.ProcessEnv,
  ) {
    this.#env = { ...env, COMPOSE_PROJECT_NAME: project };
  }

  run(...args: string[]): Promise<string> {
    const [file = '', ...first] = COMPOSE;
    return run(file, [...first, ...args], this.#env);
  }

  /** Ids of a service's containers, stopped ones included. */
  async containers(service: string): Promise<string[]> {
    const labels = { project: this.project, service };
    const filters = Object.entries(labels).flatMap(([name, value]) => [
      '--filter',
      `label=com.docker.compose.${name}=${value}`,
    ]);
    const ids = await docker('ps', '--all', '--quiet', '--no-trunc', ...filters);
    return ids.split('\n').filter((id) => id !== '');
  }
}

/** A value of `docker inspect`, chosen by a Go template. */
export const inspect = (id: string, template: string) => docker('inspect', '--format', template, id);

/** What a script for Node prints in a running container. */
export const execNode = (id: string, script: string) => docker('exec', id, 'node', '--input-type=module', '-e', script);
