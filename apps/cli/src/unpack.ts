/** Archives of model folders: looked through before anything is written, then unpacked. What they hold is untrusted. */
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { UserError } from '@shoal/tools/user-error';
import { extract, Parser, type ReadEntry } from 'tar';

const MAX_ENTRIES = 10_000;

const FILES: readonly string[] = ['File', 'OldFile', 'ContiguousFile'];

/**
 * Unpacks a .tar or .tar.gz into `folder`, which exists and is empty. Throws a UserError, with nothing written, where it
 * holds more than `maxBytes`, anything but files and folders, or a path that leads out of it.
 */
export async function unpack(archive: string, folder: string, maxBytes: number): Promise<void> {
  await inspect(archive, maxBytes);
  await extract({
    file: archive,
    cwd: folder,
    strict: true,
    preserveOwner: false,
    noMtime: true,
    // What its owner could do with it elsewhere is of no meaning here.
    onReadEntry: (entry) => {
      entry.mode = entry.type === 'Directory' ? 0o755 : 0o644;
    },
  });
}

async function inspect(archive: string, maxBytes: number): Promise<void> {
  let problem: string | undefined;
  let bytes = 0;
  let entries = 0;
  let graphs = 0;
  const parser = new Parser({
    strict: true,
    onReadEntry(entry: ReadEntry) {
      entries += 1;
      bytes += entry.size;
      if (entry.path.endsWith('.onnx')) graphs += 1;
      problem ??= faultOf(entry);
      if (bytes > maxBytes) problem ??= `holds more than --max-size leaves (${maxBytes} bytes)`;
      if (entries > MAX_ENTRIES) problem ??= `holds more than ${MAX_ENTRIES} files`;
      entry.resume();
    },
  });
  const ended = once(parser, 'end').catch((error: unknown) => {
    problem ??= `cannot be read (${error instanceof Error ? error.message : String(error)})`;
  });
  for await (const chunk of createReadStream(archive)) {
    const more = parser.write(chunk as Buffer);
    if (problem !== undefined) break;
    if (!more) await Promise.race([once(parser, 'drain'), ended]);
  }
  if (problem === undefined) parser.end();
  if (problem === undefined) await ended;
  if (problem === undefined && graphs === 0) {
    problem = 'holds no .onnx file; pack the version’s folder: tar -czf <name>.tar.gz -C models/<name>/<version> .';
  }
  if (problem !== undefined) throw new UserError(`the archive ${problem}.`);
}

function faultOf({ path, type }: ReadEntry): string | undefined {
  const name = JSON.stringify(path);
  const parts = path.split(/[/\\]/);
  if (path.startsWith('/') || /^[a-z]:/i.test(path) || parts.includes('..'))
    return `has a path that leads out of it: ${name}`;
  if (type === 'Directory' || FILES.includes(type)) return undefined;
  return `may hold files and folders only; ${name} is of type ${type}`;
}
