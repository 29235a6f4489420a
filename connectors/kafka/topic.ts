import { SluiceError, type TableIdentity } from '#plugin';
import { nameTooLong } from './errors.ts';

/** Placeholders of a topic template. */
const PLACEHOLDER = /\{([^{}]*)\}/g;
const KNOWN: ReadonlySet<string> = new Set(['connector', 'schema', 'table']);

/** Kafka's own limit, in characters (org.apache.kafka.common.internals.Topic). */
const MAX_NAME = 249;

/** One name as part of a topic's: Kafka allows letters, digits, `.`, `_` and `-`. Two tables that become one topic by this are found by the pipeline. */
function sanitise(name: string): string {
  return name.replace(/[^a-zA-Z0-9._-]/gu, '_');
}

/** What is wrong with a template, or null. */
export function templateProblem(template: string): string | null {
  for (const [whole, name] of template.matchAll(PLACEHOLDER)) {
    if (!KNOWN.has(name as string)) return `"${whole}" is not known`;
  }
  const fixed = template.replace(PLACEHOLDER, 'x');
  if (fixed === '') return 'it is empty';
  if (/[{}]/.test(fixed)) return 'a brace is left over';
  if (sanitise(fixed) !== fixed) return 'Kafka allows letters, digits, ".", "_" and "-" in names';
  if (template === '.' || template === '..') return 'Kafka does not allow this name';
  return null;
}

/** The topic of a table's messages. Where the system has no schemas, `{schema}` is the database. Throws if the name is longer than Kafka allows. */
export function topicOf(template: string, connector: string, table: Omit<TableIdentity, 'kind'>): string {
  const names: Readonly<Record<string, string>> = { connector, schema: table.schema === '' ? table.catalog : table.schema, table: table.name };
  const topic = template.replace(PLACEHOLDER, (_, name: string) => sanitise(names[name] as string));
  if (topic.length > MAX_NAME) throw new SluiceError(nameTooLong, { topic, length: topic.length, limit: MAX_NAME });
  return topic;
}

/** Tells whether the template can make this topic for the connector. */
export function topicMatcher(template: string, connector: string): (topic: string) => boolean {
  const literally = (text: string): string => text.replace(/[.*+?^${}()|[\]\\-]/g, '\\$&');
  const parts = template.replaceAll('{connector}', sanitise(connector)).split(/\{schema\}|\{table\}/);
  const pattern = new RegExp(`^${parts.map(literally).join('.*')}$`);
  return (topic) => pattern.test(topic);
}
