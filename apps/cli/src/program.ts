/** The commands of `shoal`: what each takes, its help, and what it calls. */
import { resolve } from 'node:path';
import { LOSS_METRICS, type LossMetric } from '@shoal/contracts';
import { METHOD_NAMES } from '@shoal/optimizer/method-names';
import { UserError } from '@shoal/tools/user-error';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { FetchRequest } from './fetch-model.js';
import { ENVIRONMENT, EXAMPLES } from './help.js';
import type { ModelsRequest } from './models.js';
import { listOf, lossOf, methodsOf, seconds, sha256, size, span, webAddress, whole } from './option-values.js';
import type { RunRequest } from './run-model.js';
import { type RunSettings, SETTINGS, withSetting } from './run-model-settings.js';
import { addServerCommands, type ServerActions } from './server-commands.js';
import type { TuneRequest } from './tune-model.js';

/** What `shoal import` was asked for. */
export interface ImportOptions {
  readonly source: string;
  /** Of the one file of a URL. */
  readonly sha256: string | undefined;
  /** Of what is pulled; undefined: the default. */
  readonly maxBytes: number | undefined;
  /** Undefined: the folder's own. */
  readonly name: string | undefined;
  readonly version: number;
  readonly dtypes: readonly string[];
  /** Undefined: the folder of models that everything else has. */
  readonly to: string | undefined;
  readonly force: boolean;
  readonly report: boolean;
}

/** What `shoal pull` was asked for. */
export interface PullOptions extends Pick<ImportOptions, 'source' | 'sha256' | 'maxBytes'> {
  /** The folder to make; undefined: one of its own. */
  readonly to: string | undefined;
}

/** What `shoal evaluate` was asked for. */
export interface EvaluateOptions {
  /** Each as `shoal run` takes it. */
  readonly original: string;
  readonly candidate: string;
  /** Of examples. */
  readonly data: string;
  /** That is allowed, as a share. */
  readonly maxLoss: number;
  /** Undefined: what is usual for the task and the examples. */
  readonly metric: LossMetric | undefined;
  readonly json: boolean;
  readonly keep: boolean;
}

/** What `shoal optimize` was asked for. */
export interface OptimizeOptions {
  /** Name, or name@2. */
  readonly model: string;
  /** Of examples. */
  readonly data: string;
  /** That is allowed, as a share. */
  readonly maxLoss: number;
  /** Undefined: what is usual for the task and the examples. */
  readonly metric: LossMetric | undefined;
  /** Seconds that it may take. */
  readonly time: number;
  /** Empty: all. */
  readonly methods: readonly string[];
  readonly force: boolean;
  /** The plan alone. */
  readonly plan: boolean;
  /** URL of an API that serves the original; undefined: its answers are computed here. */
  readonly teacher: string | undefined;
}

/** What the commands do. */
export interface Actions extends ServerActions {
  start(options: { readonly workers: number }): Promise<void>;
  fetchModel(request: FetchRequest): Promise<void>;
  importModel(options: ImportOptions): Promise<void>;
  pullModel(options: PullOptions): Promise<void>;
  runModel(request: RunRequest): Promise<void>;
  evaluateModel(options: EvaluateOptions): Promise<void>;
  optimizeModel(options: OptimizeOptions): Promise<void>;
  manageModels(request: ModelsRequest): Promise<void>;
  tuneModel(request: TuneRequest): Promise<void>;
}

/** Of a search: with fewer a small space has no room for a round of all factors and five pairs, which is what tells least. */
const LEAST_ROUNDS = 20;

const SOURCES = 'a folder, a .gguf or .onnx file, an https:// or s3:// URL, or hf:org/name[@revision][/file]';

/** As commander gives them. */
interface SourceValues {
  readonly sha256?: string;
  readonly maxSize?: number;
}

interface ImportValues extends SourceValues {
  readonly name?: string;
  readonly version: number;
  readonly dtype?: readonly string[];
  readonly to?: string;
  readonly force?: boolean;
  readonly report?: boolean;
}

interface RunValues extends Pick<RunRequest, 'prompt' | 'variant' | 'context'> {
  readonly [setting: string]: unknown;
}

interface EvaluateValues extends Pick<EvaluateOptions, 'data' | 'maxLoss'> {
  readonly metric?: LossMetric;
  readonly json?: boolean;
  readonly keep?: boolean;
}

interface OptimizeValues extends Pick<OptimizeOptions, 'data' | 'maxLoss' | 'time'> {
  readonly metric?: LossMetric;
  readonly methods?: readonly string[];
  readonly force?: boolean;
  readonly plan?: boolean;
  readonly teacher?: string;
}

/** Throws a CommanderError for a command line that is wrong, and after help or version were shown. */
export function createProgram(version: string, actions: Actions): Command {
  const program = new Command('shoal')
    .description('Shoal runs ONNX models for many callers at once, through a queue.')
    .version(version, '-v, --version', 'show the version')
    .helpOption('-h, --help', 'show help, also of one command: npx shoal import --help')
    .helpCommand('help [command]', 'show help of a command')
    .addHelpText('after', `\n${ENVIRONMENT}`)
    .enablePositionalOptions()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error:/, 'shoal:')) })
    .showHelpAfterError('See "npx shoal help".')
    .exitOverride();

  program
    .command('start')
    .description('start everything on this machine: Redis, the API, webhooks and workers; Ctrl-C stops it all')
    .option('-w, --workers <n>', 'worker processes', whole(1, 99), 1)
    .addHelpText('after', `\n${EXAMPLES.start}\n\n${ENVIRONMENT}`)
    .action(({ workers }: { workers: number }) => actions.start({ workers }));

  const imported = program
    .command('import')
    .description(
      'make a model of a Hugging Face folder (safetensors), a GGUF file or ONNX files, here or elsewhere: checked, tried, ' +
        'then put in place',
    )
    .argument('<source>', `what to import: ${SOURCES}`)
    .option('--name <name>', "of the model (default: the folder's or the file's)")
    .option('--version <n>', 'of the model', whole(1, 999_999_999), 1)
    .option('--dtype <list>', 'fp32, fp16, int8, int4 or kept; several make several variants: fp32,int8', listOf)
    .option('--to <folder>', 'folder of models (default: SHOAL_MODELS_DIR)', (folder) => resolve(folder))
    .option('--force', 'replace a version that is there')
    .option('--report', "measure the variants side by side: quality on the folder's eval.jsonl, size, speed");
  addSourceOptions(imported)
    .addHelpText('after', `\n${EXAMPLES.import}`)
    .action((source: string, { name, version, dtype = [], to, force = false, report = false, ...of }: ImportValues) =>
      actions.importModel({ source, ...boundsOf(of), name, version, dtypes: dtype, to, force, report }),
    );

  const pulled = program
    .command('pull')
    .description(
      'fetch what is needed of a model into a folder on this machine, whole and checked, to import it from there',
    )
    .argument('<source>', SOURCES)
    .option('--to <folder>', 'folder to make (default: one in SHOAL_DATA_DIR)', (folder) => resolve(folder));
  addSourceOptions(pulled)
    .addHelpText('after', `\n${EXAMPLES.pull}`)
    .action((source: string, { to, ...of }: SourceValues & { to?: string }) =>
      actions.pullModel({ source, ...boundsOf(of), to }),
    );

  const run = program
    .command('run')
    .description('talk to a model that generates text, in the terminal; answers go to stdout, all else to stderr')
    .argument(
      '<model>',
      'folder of a model, or one in SHOAL_MODELS_DIR: name, name@2, name:int8, or a name of models.json',
    )
    .argument('[prompt]', 'answer this and end (default: a conversation; each line of an input that nobody types)')
    .option('-p, --prompt <text>', 'the same, also where it begins with a dash')
    .option('--variant <name>', "fp32, int8, ... (default: the model's first)")
    .option('--context <n>', "tokens of prompt and answer together (default: the model's limit)", whole(2, 999_999_999))
    .addHelpText('after', `\n${EXAMPLES.run}`)
    .action((model: string, given: string | undefined, { prompt, variant, context, ...values }: RunValues) => {
      if (given !== undefined && prompt !== undefined) throw new UserError('the prompt is there twice: leave out -p.');
      return actions.runModel({ model, prompt: prompt ?? given, variant, context, settings: settingsOf(values) });
    });
  for (const [name, { value, what }] of Object.entries(SETTINGS)) {
    run.option(`--${name} ${value}`, what, (text: string, before: unknown) => settingOf(name, text, before));
  }

  program
    .command('evaluate')
    .description(
      'what a model or variant loses beside another one, how much faster it is, and whether it may take its place',
    )
    .argument('<original>', 'as "shoal run" takes it: name, name@2, name:fp32, a folder')
    .argument('<candidate>', 'the same: another variant of it, or another model of its task')
    .requiredOption('--data <file>', 'JSONL or CSV of examples', (file) => resolve(file))
    .option('--max-loss <share>', 'that is allowed: 1% or 0.01', lossOf, 0.01)
    .addOption(new Option('--metric <name>', 'of the loss (default: by task and examples)').choices(LOSS_METRICS))
    .option('--json', 'print what was measured as JSON')
    .option('--keep', "note it in the version's quality.json, where the candidate passes")
    .addHelpText('after', `\n${EXAMPLES.evaluate}`)
    .action((original: string, candidate: string, { data, maxLoss, metric, json, keep }: EvaluateValues) =>
      actions.evaluateModel({ original, candidate, data, maxLoss, metric, json: json ?? false, keep: keep ?? false }),
    );

  program
    .command('optimize')
    .description(
      'make variants of a model that are faster, measure what they lose, and keep those that lose no more than is allowed',
    )
    .argument('<model>', 'name or name@2, in SHOAL_MODELS_DIR')
    .requiredOption('--data <file>', 'JSONL or CSV of examples', (file) => resolve(file))
    .option('--max-loss <share>', 'that is allowed: 1% or 0.01', lossOf, 0.01)
    .addOption(new Option('--metric <name>', 'of the loss (default: by task and examples)').choices(LOSS_METRICS))
    .addOption(new Option('--time <time>', 'that it may take: 90s, 30m or 8h').argParser(seconds).default(1800, '30m'))
    .option('--methods <list>', `to try (default: all), such as int8,int4; of ${METHOD_NAMES.join(', ')}`, methodsOf)
    .option('--force', 'keep what does not pass, marked as such, and replace variants that are there')
    .option('--plan', 'show what would be tried, and try nothing')
    .option('--teacher <url>', 'an API whose workers answer the texts that students learn from', (url) =>
      webAddress(url, '--teacher'),
    )
    .addHelpText('after', `\n${EXAMPLES.optimize}`)
    .action(
      (model: string, { metric, methods = [], force = false, plan = false, teacher, ...values }: OptimizeValues) =>
        actions.optimizeModel({ model, ...values, metric, methods, force, plan, teacher }),
    );

  program
    .command('tune')
    .description(
      'find the settings that a model is fastest with on this machine: threads, attention, batches, memory; workers take ' +
        'them when they load it',
    )
    .argument('<model>', 'one in SHOAL_MODELS_DIR: name, name@2, name:int8, or a name of models.json')
    .addOption(
      new Option('--time <span>', 'nothing is begun after it')
        .argParser(span(10_000, 24 * 3_600_000))
        .default(300_000, '5m'),
    )
    .option(
      '--rounds <n>',
      'of an exhaustive search, of which it plans 15 % at most: more find smaller differences',
      whole(LEAST_ROUNDS, 200),
      50,
    )
    .addHelpText('after', `\n${EXAMPLES.tune}`)
    .action((model: string, { time, rounds }: { time: number; rounds: number }) =>
      actions.tuneModel({ model, budgetMs: time, rounds }),
    );

  program
    .command('fetch-model')
    .description('fetch one version of a model: a .tar or .tar.gz of its folder, unpacked once its hash was checked')
    .requiredOption('--url <url>', 'of the archive, http:// or https://')
    .requiredOption('--sha256 <hash>', 'of the archive', sha256)
    .requiredOption('--to <folder>', 'folder of the version: models/<name>/<version>', (folder) => resolve(folder))
    .addOption(
      new Option('--max-size <size>', 'of the archive and what is in it').argParser(size).default(size('16Gi'), '16Gi'),
    )
    .addHelpText('after', `\n${EXAMPLES.fetchModel}`)
    .action(({ url, sha256, to, maxSize }: Omit<FetchRequest, 'maxBytes'> & { maxSize: number }) =>
      actions.fetchModel({ url: webAddress(url), sha256, to, maxBytes: maxSize }),
    );

  addServerCommands(program, actions);
  addModelCommands(program, actions);
  for (const command of program.commands) {
    command.helpOption('-h, --help', 'show this').showHelpAfterError(`See "npx shoal help ${command.name()}".`);
    for (const part of command.commands) {
      const help = `npx shoal ${command.name()} ${part.name()} --help`;
      part.helpOption('-h, --help', 'show this').showHelpAfterError(`See "${help}".`);
    }
  }
  return program;
}

function addSourceOptions(command: Command): Command {
  return command
    .option('--sha256 <hash>', 'of the file that a URL names', sha256)
    .option('--max-size <size>', 'of what is fetched (default: 256Gi)', size);
}

function boundsOf({ sha256, maxSize }: SourceValues): Pick<ImportOptions, 'sha256' | 'maxBytes'> {
  return { sha256, maxBytes: maxSize };
}

/** Of one tree of its own: what is done with models that are served. */
function addModelCommands(program: Command, actions: Actions): void {
  const models = program
    .command('models')
    .description('which models are served and loaded; load, unload or remove one while everything runs')
    .addHelpText('after', `\n${EXAMPLES.models}`);
  models
    .command('ls')
    .description('every version and variant, and whether workers have it loaded')
    .action(() => actions.manageModels({ what: 'ls' }));
  models
    .command('show')
    .description("a model's card")
    .argument('<model>', 'name, name@version or name:variant')
    .action((name: string) => actions.manageModels({ what: 'show', name }));
  models
    .command('load')
    .description('load it in every worker that may serve it, and let it take jobs')
    .argument('<model>', 'name, name@version, name:variant or name@version:variant')
    .action((name: string) => actions.manageModels({ what: 'load', name }));
  models
    .command('unload')
    .description('refuse new jobs for it, end those that it has taken, and free its memory')
    .argument('<model>', 'name, name@version, name:variant or name@version:variant')
    .action((name: string) => actions.manageModels({ what: 'unload', name }));
  models
    .command('rm')
    .description('delete the folder of a version; jobs that it has taken end first')
    .argument('<model>', 'name@version, or name where it has one version')
    .option('--all', 'every version')
    .action((name: string, { all = false }: { all?: boolean }) => actions.manageModels({ what: 'rm', name, all }));
}

/** Reads the line and runs what it asks for. Commander shows its own help where that is asked for of a command it lacks. */
export async function runProgram(program: Command, args: readonly string[]): Promise<void> {
  const [name = '--help'] = args[0] === 'help' ? args.slice(1) : args;
  const known = name.startsWith('-') || name === 'help' || program.commands.some((command) => command.name() === name);
  await program.parseAsync(known ? args : [name], { from: 'user' });
}

/** The value of `--name text`, behind what the option was before. */
function settingOf(name: string, text: string, before: unknown): unknown {
  const { field } = SETTINGS[name]!;
  try {
    return withSetting(field === 'stop' && before !== undefined ? { stop: before as string[] } : {}, name, text)[field];
  } catch (error) {
    throw error instanceof UserError ? new InvalidArgumentError(`${error.message}.`) : error;
  }
}

function settingsOf(values: Readonly<Record<string, unknown>>): RunSettings {
  const chosen = Object.entries(SETTINGS).map(([name, { field }]) => {
    const key = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    return [field, values[key]] as const;
  });
  return Object.fromEntries(chosen.filter(([, value]) => value !== undefined));
}
