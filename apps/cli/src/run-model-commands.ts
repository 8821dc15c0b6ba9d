/** What a line of a conversation means that begins with "/". */
import { UserError } from '@shoal/tools/user-error';
import type { Chat } from './run-model-chat.js';
import { SETTINGS, withSetting } from './run-model-settings.js';

const HELP = `/help              this
/clear             begin anew: the conversation so far is forgotten
/set               how answers are made now
/set NAME VALUE    change it: /set temperature 0.7
/set NAME          the model's own again

Names:
${Object.entries(SETTINGS)
  .map(([name, { what }]) => `  ${name.padEnd(17)}${what}`)
  .join('\n')}
A text in double quotes may have escapes: /set stop "\\n\\n"

Ctrl-C stops an answer; at the prompt it ends the program, as Ctrl-D does. Behind a blank a line may begin with "/".`;

/** Does what `line` says, and returns what is to be said of it. Throws a UserError where it cannot be done. */
export function runChatCommand(chat: Chat, line: string): string {
  const [, command = '', rest = ''] = /^\/(\S*)\s*(.*)$/s.exec(line.trimEnd()) ?? [];
  switch (command) {
    case 'help':
      return HELP;
    case 'clear':
      chat.clear();
      return 'The conversation begins anew.';
    case 'set':
      return set(chat, rest);
    default:
      throw new UserError(`there is no command /${command}; /help lists them.`);
  }
}

function set(chat: Chat, rest: string): string {
  const [, name = '', value = ''] = /^(\S*)\s*(.*)$/s.exec(rest) ?? [];
  if (name === '') return valuesOf(chat).join('\n');
  if (!Object.hasOwn(SETTINGS, name)) {
    throw new UserError(`there is no ${name} to set; there are ${Object.keys(SETTINGS).join(', ')}.`);
  }
  const { [SETTINGS[name]!.field]: _, ...others } = chat.settings;
  chat.settings = value === '' ? others : withSetting(name === 'stop' ? chat.settings : others, name, unquoted(value));
  return valuesOf(chat).find((line) => line.startsWith(`${name} `)) ?? '';
}

function valuesOf({ model, settings }: Chat): string[] {
  const values: Readonly<Record<string, unknown>> = { ...model.parameters(settings), system: settings.system };
  return Object.entries(SETTINGS).map(([name, { field }]) => {
    const value = values[field];
    return `${name.padEnd(12)} ${value === undefined ? '-' : typeof value === 'number' ? value : JSON.stringify(value)}`;
  });
}

function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    return JSON.parse(value) as string;
  } catch {
    throw new UserError(`${value} is no text in double quotes, as in "\\n".`);
  }
}
