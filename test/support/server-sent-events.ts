/** A reader of server-sent events (WHATWG HTML, section 9.2), as strict as the tests need. */

export interface ReceivedEvent {
  /** Of this event, or of the last one before it that had one. */
  readonly lastId: string;
  readonly type: string;
  /** Null: `[DONE]`, which ends OpenAI's streams and is not JSON. */
  readonly data: unknown;
}

/** Events of one answer until it ends or the consumer stops, which closes the connection. Comments are left out. */
export async function* readEvents(response: Response, lastId = ''): AsyncGenerator<ReceivedEvent, void> {
  let id = lastId;
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of response.body!) {
    rest += decoder.decode(bytes as Uint8Array, { stream: true });
    const blocks = rest.split('\n\n');
    rest = blocks.pop()!;
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => splitLine(line)));
      id = fields.get('id') ?? id;
      const data = fields.get('data');
      if (data === undefined) continue;
      yield { lastId: id, type: fields.get('event') ?? 'message', data: data === '[DONE]' ? null : JSON.parse(data) };
    }
  }
}

function splitLine(line: string): [string, string] {
  const colon = line.indexOf(': ');
  return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 2)];
}
