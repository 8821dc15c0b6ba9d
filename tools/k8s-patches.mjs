// @ts-check
/** Patches of kustomize as lines of YAML. */

/**
 * A strategic merge patch of a Deployment's pod template.
 *
 * @param {string} name
 * @param {readonly string[]} template
 */
export function deployment(name, template) {
  return [
    'apiVersion: apps/v1',
    'kind: Deployment',
    'metadata:',
    `  name: ${name}`,
    'spec:',
    '  template:',
    ...indent(template, 4),
  ];
}

/**
 * One entry of `patches`.
 *
 * @param {string} target
 * @param {readonly string[]} body
 */
export function patch(target, body) {
  return ['  - target:', ...indent(target.split('\n'), 6), '    patch: |-', ...indent(body, 6)];
}

/**
 * @param {string} path
 * @param {string | number} value
 */
export function replace(path, value) {
  return ['- op: replace', `  path: ${path}`, `  value: ${value}`];
}

/**
 * @param {readonly string[]} text
 * @param {number} width
 */
export function indent(text, width) {
  return text.map((line) => ' '.repeat(width) + line);
}

/**
 * A string, quoted where YAML might take it for something else: `1`, `on`, `-1`.
 *
 * @param {string} text
 */
export function scalar(text) {
  const plain =
    /^(-{2})?[a-z]*[0-9]*[a-z][a-z0-9._/:=-]*$/i.test(text) &&
    !/^(y|n|yes|no|on|off|true|false|null|[0-9.]+e[0-9]+)$/i.test(text);
  return plain ? text : JSON.stringify(text);
}

/** @param {string[]} text */
export function lines(...text) {
  return `${text.join('\n')}\n`;
}
