/** Before the specs: Shoal's images from the Dockerfile, under a tag of this run's own: `inject('tag')`. */
import type { TestProject } from 'vitest/node';
import { docker } from './docker.js';

declare module 'vitest' {
  interface ProvidedContext {
    tag: string;
  }
}

export const IMAGES = ['shoal-api', 'shoal-webhooks', 'shoal-worker'] as const;

export async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const tag = `test-${process.pid}`;
  const base = process.env.SHOAL_TEST_NODE_IMAGE;
  for (const image of IMAGES) {
    const start = performance.now();
    const args = ['--target', image, '--tag', `${image}:${tag}`, '--build-arg', `VERSION=${tag}`];
    // The machine's network: an engine may have none of its own that leads outside.
    await docker(
      'build',
      '--quiet',
      '--network=host',
      ...args,
      ...(base ? ['--build-arg', `NODE_IMAGE=${base}`] : []),
      '.',
    );
    const megabytes = Number(await docker('image', 'inspect', '--format', '{{.Size}}', `${image}:${tag}`)) / 1e6;
    const seconds = (performance.now() - start) / 1000;
    console.log(`built ${image}: ${Math.round(megabytes)} MB, in ${Math.round(seconds)} s`);
  }
  provide('tag', tag);
  return async () => {
    await docker('image', 'rm', '--force', ...IMAGES.map((image) => `${image}:${tag}`));
  };
}
