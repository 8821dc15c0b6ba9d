// @ts-check
/**
 * Makes k8s/schemas/ out of what Kubernetes, KEDA, the Prometheus operator and Compose publish: JSON Schemas of the kinds
 * that are used here, without descriptions, that refuse unknown keys. Run it by hand for a new version:
 *
 *   node tools/k8s-schemas.mjs <folder>
 *
 * with the folders that k8s/schemas/README.md lists inside.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './root.mjs';
import { runCommand, UserError } from './user-error.mjs';

/** @typedef {{ [key: string]: unknown }} Schema */

const KINDS = [
  'v1/ConfigMap',
  'v1/Namespace',
  'v1/PersistentVolumeClaim',
  'v1/Secret',
  'v1/Service',
  'v1/ServiceAccount',
  'apps/v1/Deployment',
  'apps/v1/StatefulSet',
  'autoscaling/v2/HorizontalPodAutoscaler',
  'networking.k8s.io/v1/Ingress',
  'networking.k8s.io/v1/NetworkPolicy',
  'policy/v1/PodDisruptionBudget',
  'scheduling.k8s.io/v1/PriorityClass',
];

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const REF = '#/components/schemas/';

/** Keywords that say what is valid; the rest tells people, servers or `kubectl apply` something. */
const KEPT = new Set(
  'type required enum pattern minimum maximum minLength maxLength minItems maxItems uniqueItems minProperties maxProperties const'.split(
    ' ',
  ),
);

/** From the documentation of Quantity. */
const QUANTITY = {
  type: ['string', 'number'],
  pattern: '^[+-]?([0-9]+|[0-9]+\\.[0-9]*|\\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$',
};
const INT_OR_STRING = { type: ['integer', 'string'] };

/**
 * An OpenAPI schema as a JSON Schema; a key that it does not know is refused, as `kubectl --validate=strict` does.
 *
 * @param {Schema} schema
 * @returns {Schema}
 */
export function strict(schema) {
  const merged = /** @type {Schema} */ (
    Array.isArray(schema.allOf) && schema.allOf.length === 1 ? schema.allOf[0] : {}
  );
  if (typeof merged.$ref === 'string' || typeof schema.$ref === 'string')
    return { $ref: refOf(merged.$ref ?? schema.$ref) };
  if (schema['x-kubernetes-int-or-string'] === true || schema.format === 'int-or-string') return INT_OR_STRING;
  /** @type {Schema} */
  const result = Object.fromEntries(Object.entries(schema).filter(([key]) => KEPT.has(key)));
  // Go's flag for either case; JavaScript has none inside of a pattern.
  if (typeof result.pattern === 'string' && result.pattern.includes('(?i)')) delete result.pattern;
  if (schema['x-kubernetes-list-type'] === 'map') result.uniqueBy = schema['x-kubernetes-list-map-keys'];
  if (isSchema(schema.items)) result.items = strict(schema.items);
  if (isSchema(schema.properties)) {
    result.properties = mapValues(/** @type {Record<string, Schema>} */ (schema.properties), strict);
    if (schema['x-kubernetes-preserve-unknown-fields'] !== true) result.additionalProperties = false;
  }
  if (isSchema(schema.additionalProperties)) result.additionalProperties = strict(schema.additionalProperties);
  return result;
}

/** @param {unknown} ref */
function refOf(ref) {
  return `#/definitions/${String(ref).slice(REF.length)}`;
}

/**
 * Kubernetes' own kinds and all that they refer to.
 *
 * @param {string} folder of OpenAPI files, one for each API group
 */
function kubernetes(folder) {
  /** @type {Record<string, Schema>} */
  const all = {};
  for (const file of readdirSync(folder)) Object.assign(all, readJson(join(folder, file)).components.schemas);
  /** @type {Record<string, string>} */
  const kinds = {};
  for (const [name, schema] of Object.entries(all)) {
    const versions = /** @type {{ group: string, version: string, kind: string }[]} */ (
      schema['x-kubernetes-group-version-kind'] ?? []
    );
    for (const { group, version, kind } of versions) {
      const id = `${group === '' ? '' : `${group}/`}${version}/${kind}`;
      if (KINDS.includes(id)) kinds[id] = `#/definitions/${name}`;
    }
  }
  const missing = KINDS.filter((kind) => kinds[kind] === undefined);
  if (missing.length > 0) throw new UserError(`${folder} has no schema of ${missing.join(', ')}.`);
  /** @type {Record<string, Schema>} */
  const definitions = {};
  const pending = [...Object.values(kinds).map((ref) => ref.slice('#/definitions/'.length)), META];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (definitions[name] !== undefined) continue;
    definitions[name] = definition(name, withoutStatus(/** @type {Schema} */ (all[name])));
    for (const [, ref = ''] of JSON.stringify(definitions[name]).matchAll(/"#\/definitions\/([^"]+)"/g))
      pending.push(ref);
  }
  return { $id: 'kubernetes', kinds, definitions };
}

/**
 * @param {string} name
 * @param {Schema} schema
 */
function definition(name, schema) {
  if (name.endsWith('.resource.Quantity')) return QUANTITY;
  return name.endsWith('.intstr.IntOrString') ? INT_OR_STRING : strict(schema);
}

/**
 * The kinds of custom resource definitions. Their metadata is that of every object, which their files leave open.
 *
 * @param {string} folder
 * @param {string} id
 * @param {RegExp} wanted file names
 */
async function customResources(folder, id, wanted) {
  const { load } = await import('js-yaml');
  /** @type {Record<string, string>} */
  const kinds = {};
  /** @type {Record<string, Schema>} */
  const definitions = {};
  for (const file of readdirSync(folder).filter((name) => wanted.test(name))) {
    const { spec } = /** @type {any} */ (load(readFileSync(join(folder, file), 'utf8')));
    for (const { name, schema } of spec.versions) {
      const root = strict(withoutStatus(schema.openAPIV3Schema));
      const properties = /** @type {Schema} */ (root.properties);
      definitions[spec.names.kind] = {
        ...root,
        properties: { ...properties, metadata: { $ref: `kubernetes#/definitions/${META}` } },
      };
      kinds[`${spec.group}/${name}/${spec.names.kind}`] = `#/definitions/${spec.names.kind}`;
    }
  }
  return { $id: id, kinds, definitions };
}

/**
 * What a cluster writes about an object is not for manifests.
 *
 * @param {Schema} schema
 */
function withoutStatus(schema) {
  if (!isSchema(schema.properties) || !('metadata' in schema.properties) || !('apiVersion' in schema.properties))
    return schema;
  const { status: _, ...properties } = /** @type {Schema} */ (schema.properties);
  return { ...schema, properties };
}

/**
 * The same schema without what is for people only.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
function undescribed(value) {
  if (Array.isArray(value)) return value.map(undescribed);
  if (!isSchema(value)) return value;
  const entries = Object.entries(value).filter(([key, child]) => !(key === 'description' && typeof child === 'string'));
  return Object.fromEntries(entries.map(([key, child]) => [key, undescribed(child)]));
}

/**
 * @param {unknown} value
 * @returns {value is Schema}
 */
function isSchema(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * @template Value, Result
 * @param {Record<string, Value>} record
 * @param {(value: Value) => Result} change
 */
function mapValues(record, change) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

/** @param {string} file */
function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/**
 * One definition a line, so that a new version can be read as a diff.
 *
 * @param {string} name
 * @param {Record<string, unknown>} schema
 */
function write(name, schema) {
  /** @param {Record<string, unknown>} parts */
  const entries = (parts) =>
    Object.keys(parts)
      .sort()
      .map((key) => `${JSON.stringify(key)}: ${JSON.stringify(parts[key])}`);
  const fields = Object.entries(schema).map(([key, value]) =>
    isSchema(value)
      ? `${JSON.stringify(key)}: {\n${entries(value).join(',\n')}\n}`
      : `${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  );
  writeFileSync(join(ROOT, 'k8s/schemas', name), `{\n${fields.join(',\n')}\n}\n`);
}

async function main() {
  const [folder] = process.argv.slice(2);
  if (folder === undefined)
    throw new UserError('say where the published schemas are: node tools/k8s-schemas.mjs <folder>');
  write('kubernetes.json', kubernetes(join(folder, 'kubernetes-1.35')));
  write(
    'keda.json',
    await customResources(join(folder, 'keda-2.20.2'), 'keda', /_(scaledobjects|triggerauthentications)\.yaml$/),
  );
  write(
    'prometheus-operator.json',
    await customResources(join(folder, 'prometheus-operator-0.93.0'), 'prometheus-operator', /\.yaml$/),
  );
  const { $schema: _, ...compose } = readJson(join(folder, 'compose-spec/compose-spec.json'));
  write('compose.json', /** @type {Record<string, unknown>} */ (undescribed(compose)));
  return 0;
}

if (process.argv[1] === new URL(import.meta.url).pathname) await runCommand(main);
