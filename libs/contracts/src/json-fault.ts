/** Where a text stops being JSON: engines say it in some of their messages only. */

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;
const PLAIN = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;

/** What may come next. In an object or list that was just opened its end may, too. */
type Next = 'value' | 'name' | 'colon' | 'end';

/** `line 3, column 7`, of a text that JSON.parse refuses. */
export function placeOfFault(text: string): string {
  const lines = text.slice(0, faultOf(text)).split('\n');
  return `line ${lines.length}, column ${lines.at(-1)!.length + 1}`;
}

function faultOf(text: string): number {
  const open: ('{' | '[')[] = [];
  let [at, next, fresh] = [0, 'value' as Next, false];
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  const closes = (sign: string) => sign === (open.at(-1) === '{' ? '}' : ']') && open.length > 0;
  for (;;) {
    take(SPACE);
    const sign = text[at] ?? '';
    if (closes(sign) && (next === 'end' || fresh)) {
      open.pop();
      [at, next, fresh] = [at + 1, 'end', false];
    } else if (next === 'value' && (sign === '{' || sign === '[')) {
      open.push(sign);
      [at, next, fresh] = [at + 1, sign === '{' ? 'name' : 'value', true];
    } else if (next === 'value' && (take(STRING) || take(PLAIN))) {
      [next, fresh] = ['end', false];
    } else if (next === 'name' && take(STRING)) {
      [next, fresh] = ['colon', false];
    } else if (next === 'colon' && sign === ':') {
      [at, next] = [at + 1, 'value'];
    } else if (next === 'end' && sign === ',' && open.length > 0) {
      [at, next] = [at + 1, open.at(-1) === '{' ? 'name' : 'value'];
    } else return at;
  }
}
