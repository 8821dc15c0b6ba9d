/** A hub with one small model, whose large file has three million bytes. */
import { onTestFinished } from 'vitest';
import { type HubModel, type HubOptions, startHub } from './hub-server.js';

export const bytes = (text: string) => Buffer.from(text);

export const WEIGHTS = Buffer.from(Array.from({ length: 3_000_000 }, (_, n) => (n * n) % 251));

export const FILES: Readonly<Record<string, Buffer>> = {
  '.gitattributes': bytes('*.safetensors filter=lfs'),
  'README.md': bytes('# tiny'),
  'config.json': bytes('{"model_type":"llama"}'),
  'tokenizer.json': bytes('{}'),
  'model.safetensors': WEIGHTS,
  'pytorch_model.bin': bytes('pickle'),
  'modeling_tiny.py': bytes('import os'),
};

/** What is needed of them. */
export const NEEDED = ['config.json', 'model.safetensors', 'tokenizer.json'];

/** `org/tiny`, for the test that asks for it. */
export async function serve(model: Partial<HubModel> = {}, options: HubOptions = {}) {
  const hub = await startHub([{ repo: 'org/tiny', files: FILES, ...model }], options);
  onTestFinished(() => hub.close());
  return { hub, settings: { hub: { endpoint: hub.url, token: undefined } } };
}

export const withToken = (url: string, token: string) => ({ hub: { endpoint: url, token } });
