/** Server-sent events of one answer (WHATWG HTML, section 9.2), as they come. */
import { UserError } from '@shoal/tools/user-error';

/** Longest event, in characters: longer than any result that a job may have. */
const MAX_EVENT = 64 * 1024 * 1024;

export interface ServerEvent {
  /** Of this event, or of the last one before it that had one; undefined: none had. */
  readonly lastId: string | undefined;
  readonly type: string;
  readonly data: unknown;
}

/** Ends with the answer; what came of an event that did not end is left out. @throws UserError where it is no such stream */
export async function* readEvents(
  stream: ReadableStream<Uint8Array>,
  lastId?: string,
): AsyncGenerator<ServerEvent, void> {
  const decoder = new TextDecoder();
  let id = lastId;
  let rest = '';
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n\n');
    rest = lines.pop()!;
    if (rest.length > MAX_EVENT) throw foreign();
    for (const block of lines) {
      const fields = new Map(block.split('\n').map(fieldOf));
      id = fields.get('id') ?? id;
      const data = fields.get('data');
      if (data !== undefined) yield { lastId: id, type: fields.get('event') ?? 'message', data: parsed(data) };
    }
  }
}

function fieldOf(line: string): readonly [name: string, value: string] {
  const colon = line.indexOf(':');
  return colon === -1 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw foreign();
  }
}

function foreign(): UserError {
  return new UserError('what answers sends other events than an API of Shoal does.');
}
