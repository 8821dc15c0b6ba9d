/** How `shoal run` makes answers: settings by the names that options and `/set` have, in the words of requests inside. */
import { parse, ShoalError, TextGenerationParameters } from '@shoal/contracts';
import { UserError } from '@shoal/tools/user-error';

/** What was chosen; the rest is the model's own. */
export interface RunSettings {
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly seed?: number;
  readonly max_tokens?: number;
  readonly stop?: readonly string[];
  /** What the conversation begins with, as its chat template has it. */
  readonly system?: string;
}

interface Setting {
  readonly field: keyof RunSettings;
  readonly value: string;
  readonly what: string;
}

/** By name, as in `--top-p` and `/set top-p`. */
export const SETTINGS: Readonly<Record<string, Setting>> = {
  temperature: { field: 'temperature', value: '<t>', what: '0: always the likeliest token; up to 2: more varied' },
  'top-p': { field: 'top_p', value: '<p>', what: 'only the likeliest tokens that together are this probable' },
  'top-k': { field: 'top_k', value: '<n>', what: 'only so many of the likeliest tokens; 0: all' },
  'min-p': { field: 'min_p', value: '<p>', what: 'only tokens at least this share as likely as the likeliest' },
  seed: { field: 'seed', value: '<n>', what: 'the same one gives the same answer' },
  'max-tokens': { field: 'max_tokens', value: '<n>', what: 'longest answer; else what the context has room for' },
  stop: { field: 'stop', value: '<text>', what: 'the answer ends before it; may be given four times' },
  system: { field: 'system', value: '<text>', what: 'tells a chat model who it is and what it is to do' },
};

/** Those without which a temperature of 0 is kept. */
const OF_SAMPLING = ['top_p', 'top_k', 'min_p', 'seed'] as const;

/** `settings` with one more, of a name in SETTINGS. Throws a UserError that names it where the value is wrong. */
export function withSetting(settings: RunSettings, name: string, text: string): RunSettings {
  const { field } = SETTINGS[name]!;
  if (field === 'system') return { ...settings, system: text };
  const value = field === 'stop' ? [...(settings.stop ?? []), text] : numberOf(text);
  if (field === 'max_tokens' && value === 0) throw new UserError(`${name} must be at least 1`);
  try {
    parse(TextGenerationParameters, { [field]: value });
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    const [fault] = error.faults;
    throw new UserError(
      `${name} ${field === 'stop' && fault?.path === 'stop' ? 'takes up to 4 texts' : fault?.message}`,
    );
  }
  return { ...settings, [field]: value };
}

/** A text that is no number stays one: the schema says what is wrong. */
function numberOf(text: string): number | string {
  return /^-?[\d.]+(e-?\d+)?$/i.test(text) && !Number.isNaN(Number(text)) ? Number(text) : text;
}

/** What of the settings is asked of the model; `advised` is what its makers say, and gives way. */
export function parametersOf<Advised extends { readonly temperature: number }>(
  settings: RunSettings,
  advised: Advised,
) {
  const { system: _, ...chosen } = settings;
  // Who asks for a way to sample wants sampling, of a model too that has none of its own.
  const samples = advised.temperature === 0 && OF_SAMPLING.some((field) => chosen[field] !== undefined);
  return { ...advised, ...(samples && { temperature: 1 }), ...chosen };
}
