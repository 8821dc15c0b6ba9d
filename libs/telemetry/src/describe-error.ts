/** What a log line tells of an error. */

export interface DescribedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: DescribedError;
}

/** Longest message in characters: enough for any cause, too short for an input that a library quotes back. */
const MAX_MESSAGE = 300;

/** Type, message, code, stack frames and, up to three deep, causes. */
export function describeError(thrown: unknown, depth = 3): DescribedError {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: 'something that is not an Error was thrown' };
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
  const frames = thrown.stack?.match(/^ {4}at .*$/gm);
  return {
    type: thrown.name,
    message: messageOf(thrown),
    ...(code !== undefined && { code }),
    ...(frames && { stack: frames.join('\n') }),
    ...(thrown.cause !== undefined && depth > 0 && { cause: describeError(thrown.cause, depth - 1) }),
  };
}

/** V8 quotes the text it could not parse in a SyntaxError, and that text may be a request's body. */
function messageOf(error: Error): string {
  if (error instanceof SyntaxError) return 'a text could not be parsed';
  return error.message.length > MAX_MESSAGE ? `${error.message.slice(0, MAX_MESSAGE)}…` : error.message;
}
