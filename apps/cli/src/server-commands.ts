/** The commands of `shoal` that are for a running server, wherever it is: what each takes, and what it calls. */
import { resolve } from 'node:path';
import { JOB_STATES, type JobState, PRIORITIES, type Priority } from '@shoal/contracts';
import { UserError } from '@shoal/tools/user-error';
import { type Command, Option } from 'commander';
import { EXAMPLES } from './help.js';
import type { JobsRequest } from './jobs.js';
import { jsonObject, lossOf, span, webAddress, whole } from './option-values.js';
import type { PredictRequest } from './predict.js';
import type { ServerOptions } from './server.js';

/** Farthest deadline of a job, in ms. */
const WEEK_MS = 7 * 24 * 3_600_000;

/** What the commands do. */
export interface ServerActions {
  predict(request: PredictRequest): Promise<void>;
  manageJobs(request: JobsRequest): Promise<void>;
}

interface PredictValues extends ServerOptions {
  readonly file?: string;
  readonly column?: string;
  readonly query?: string;
  readonly complete?: boolean;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly priority?: Priority;
  readonly maxAccuracyLoss?: number;
  readonly timeout?: number;
  readonly json?: boolean;
  readonly keepGoing?: boolean;
  readonly keep?: boolean;
}

interface JobsValues extends ServerOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export function addServerCommands(program: Command, actions: ServerActions): void {
  const predict = program
    .command('predict')
    .description('have a running server answer a text, or each line of an input; answers go to stdout, in order')
    .argument('<model>', 'name, name@2, name:int8 or name@2:int8')
    .argument('[text]', 'answer this; "-": each line of stdin (default: the same, where nobody types it)')
    .option('--file <file>', '.txt: a text a line; .jsonl: a text or input a line; .csv: a column', (path) =>
      resolve(path),
    )
    .option('--column <name>', 'of a CSV (default: text)')
    .option('--query <text>', 'of a model that ranks: each input is a document, and is scored for it')
    .option('--complete', 'of a model that chats: have it go on with each text, instead of answering it')
    .option('--parameters <json>', `of the model's task: '{"top_k": 2}'`, jsonObject)
    .addOption(new Option('--priority <priority>', 'among your jobs (default: normal)').choices(PRIORITIES))
    .option('--max-accuracy-loss <share>', 'that a faster variant may have: 1% or 0.01', lossOf)
    .option(
      '--timeout <time>',
      'of each job, waiting included: 90s, 30m or 8h',
      (value) => span(1000, WEEK_MS)(value) / 1000,
    )
    .option('--json', 'one JSON a line: {"line", "output"}, or {"line", "error"}')
    .option('--keep-going', 'tell what an input is refused for in its place, and go on')
    .option('--keep', 'leave the jobs on the server, to expire');
  addServerOptions(predict)
    .addHelpText('after', `\n${EXAMPLES.predict}`)
    .action((model: string, text: string | undefined, values: PredictValues) => {
      const { file, column, query, parameters, priority, maxAccuracyLoss, timeout, ...more } = values;
      const { complete = false, json = false, keepGoing = false, keep = false } = more;
      return actions.predict({
        ...{ model, text, file, column, query, parameters, priority, maxAccuracyLoss, timeout },
        ...{ complete, json, keepGoing, keep, ...serverOf(more) },
      });
    });
  addJobsCommands(program, actions);
}

function addJobsCommands(program: Command, actions: ServerActions): void {
  const jobs = program
    .command('jobs')
    .description('your jobs on a running server: list, show, follow or cancel them')
    .addHelpText('after', `\n${EXAMPLES.jobs}`);
  const add = (name: string, description: string) =>
    addServerOptions(jobs.command(name).description(description))
      .option('--json', 'one JSON a line')
      .option('-q, --quiet', 'ids alone');

  add('ls', 'newest first')
    .addOption(new Option('--status <status>', 'of these alone').choices(JOB_STATES))
    .option('--model <name>', 'of this alone, of whatever version')
    .option('--limit <n>', 'how many', whole(1, 1000), 20)
    .option('--all', 'however many there are')
    .action((values: JobsValues & { status?: JobState; model?: string; limit: number; all?: boolean }) => {
      const { status, model, limit, all = false } = values;
      return actions.manageJobs({ what: 'ls', status, model, limit, all, ...commonOf(values) });
    });
  add('get', 'all that is known of one, its output included')
    .argument('<id>', 'as "shoal jobs ls" tells it')
    .option('--wait', 'until it has ended')
    .action((id: string, values: JobsValues & { wait?: boolean }) =>
      actions.manageJobs({ what: 'get', id, wait: values.wait ?? false, ...commonOf(values) }),
    );
  add('follow', 'what happens to one, as it happens, until it has ended; a connection that is lost is made anew')
    .argument('<id>', 'as "shoal jobs ls" tells it')
    .action((id: string, values: JobsValues) => actions.manageJobs({ what: 'follow', id, ...commonOf(values) }));
  add('cancel', 'end them; what has ended stays as it is')
    .argument('<id...>', 'as "shoal jobs ls" tells them')
    .action((ids: string[], values: JobsValues) => actions.manageJobs({ what: 'cancel', ids, ...commonOf(values) }));
}

function addServerOptions(command: Command): Command {
  return command
    .option('--url <url>', "of the server (default: SHOAL_URL, else this machine's)", (url) => webAddress(url, '--url'))
    .option('--key-file <file>', 'that holds your key (default: the key in SHOAL_KEY)', (path) => resolve(path));
}

function serverOf({ url, keyFile }: ServerOptions): ServerOptions {
  return { url, keyFile };
}

function commonOf({ json = false, quiet = false, ...values }: JobsValues) {
  if (json && quiet) throw new UserError('there is --json and --quiet: leave out one.');
  return { json, quiet, ...serverOf(values) };
}
