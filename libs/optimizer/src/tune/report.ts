/** What a search has tried, in words and as a table. */
import { markdownTable } from '../report/markdown.js';
import type { Interval } from './median-interval.js';
import type { Setting } from './setting.js';
import type { Tuning } from './tune.js';

/** Settings that a table has at most: those that are slower are many. */
const MOST_LINES = 12;

/** What differs from the defaults: `2 threads, spinning`. */
export function wordsOfSetting(setting: Setting, defaults: Setting): string {
  const words = Object.entries(setting)
    .filter(([name, value]) => value !== defaults[name])
    .map(([name, value]) => wordsOfValue(name, value));
  return words.length === 0 ? 'defaults' : words.join(', ');
}

/** Lines: a table of Markdown, then what is kept and where. */
export function reportTuning({ space: { defaults }, found, settings, file }: Tuning): string[] {
  const { tried, measurements, end, limit, ratio, candidate } = found;
  const rows = tried.slice(0, MOST_LINES).map((one) => {
    const own = wordsOfSetting(one.setting, defaults) === 'defaults';
    const cells = own ? ['1', ''] : [one.ratio.median.toFixed(3), intervalOf(one.ratio)];
    return [wordsOfSetting(one.setting, defaults), String(one.times), ...cells];
  });
  const left = tried.length - rows.length;
  const about = `${wordsOfSetting(candidate, defaults)}`;
  const measured = ratio === null ? '' : `${ratio.median.toFixed(3)} of their time (${intervalOf(ratio)})`;
  const verdicts = {
    better: `Kept: ${about}. Against the defaults it took ${measured}.`,
    not_better: 'The defaults stay: nothing was faster.',
    undecided:
      ratio === null
        ? `The defaults stay: the ${limit} ${limit === 'time' ? 'was' : 'were'} over before anything was told; --${limit} gives more.`
        : `The defaults stay: ${about} took ${measured}, which does not tell; --${limit} gives more.`,
  };
  const what = Object.keys(settings).length > 0 ? 'Workers that load the model from now on take it' : 'Workers know it';
  return [
    ...(rows.length === 0 ? [] : markdownTable(['setting', 'times', 'time ÷ defaults', 'interval'], rows)),
    ...(left > 0 ? [`and ${left} slower ones`] : []),
    `${measurements} measurements. ${verdicts[end]}`,
    file === null
      ? 'Nothing was kept; what an earlier search has kept stays.'
      : `${what} by ${file}; without this file they do what they do by themselves.`,
  ];
}

function wordsOfValue(name: string, value: Setting[string]): string {
  switch (name) {
    case 'threads':
      return value === 1 ? '1 thread' : `${value} threads`;
    case 'spinning':
      return value === true ? 'spinning' : 'no spinning';
    case 'flashAttention':
      return value === true ? 'attention in blocks' : 'attention at once';
    case 'cpuArena':
      return value === true ? 'memory kept' : 'no memory kept';
    case 'maxBatchTokens':
      return `${value} tokens a batch`;
    case 'passTokens':
      return `padding of ${value} tokens`;
    default:
      return `${name} ${value}`;
  }
}

function intervalOf({ low, high }: Interval): string {
  return low > 0 && Number.isFinite(high) ? `${low.toFixed(3)} to ${high.toFixed(3)}` : 'too few';
}
