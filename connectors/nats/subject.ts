import type { SinkContext, TableIdentity } from '#plugin';

/** Placeholders of a subject template. */
const PLACEHOLDER = /\{([^{}]*)\}/g;
const KNOWN: ReadonlySet<string> = new Set(['connector', 'schema', 'table']);

/**
 * One name as part of one token of a subject: `.` separates tokens, `*` and `>` are wildcards, and white space ends the subject in the protocol
 * (NATS documentation, Subject-Based Messaging, "Characters allowed"). Each such character becomes `_`. Two tables that become one subject by this
 * are found by the pipeline.
 */
export function sanitise(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  const token = name.replace(/[\s.*>\u0000-\u001f\u007f]/gu, '_');
  return token === '' ? '_' : token;
}

/** What is wrong with a template, or null. */
export function templateProblem(template: string): string | null {
  for (const [whole, name] of template.matchAll(PLACEHOLDER)) {
    if (!KNOWN.has(name as string)) return `"${whole}" is not known`;
  }
  const fixed = template.replace(PLACEHOLDER, 'x');
  if (/[{}]/.test(fixed)) return 'a brace is left over';
  if (sanitise(fixed.replaceAll('.', '')) !== fixed.replaceAll('.', '')) return 'it holds white space or a wildcard';
  if (fixed.split('.').includes('')) return 'a part between two dots is empty';
  if (/^(\$|_INBOX\.)/.test(template)) return 'subjects that begin with "$" or "_INBOX" belong to the server';
  return null;
}

/** The subject of a table's messages. Where the system has no schemas, `{schema}` is the database. */
export function subjectOf(template: string, connector: string, table: Omit<TableIdentity, 'kind'>): string {
  const names: Readonly<Record<string, string>> = { connector, schema: table.schema === '' ? table.catalog : table.schema, table: table.name };
  const subject = template.replace(PLACEHOLDER, (_, name: string) => sanitise(names[name] as string));
  // A table called "$JS" must not reach the server's own subjects.
  return subject.startsWith('$') ? `_${subject.slice(1)}` : subject;
}

/** The subjects that the template can make, with wildcards: what a stream must listen to. */
export function subjectFilter(template: string, connector: string): string {
  const filled = template.replaceAll('{connector}', sanitise(connector));
  return filled
    .split('.')
    .map((token) => (token.includes('{') ? '*' : token))
    .join('.');
}

/** All that a connector may write to: its tables', and those of dead letters. */
export function subjectsOf(
  { subject }: { readonly subject: string },
  context: Pick<SinkContext, 'connector' | 'extraDestinations'>,
): readonly string[] {
  return [subjectFilter(subject, context.connector), ...context.extraDestinations];
}

/** True if every subject that `inner` matches is matched by `outer` too. Both may hold wildcards. */
export function covers(outer: string, inner: string): boolean {
  const outerTokens = outer.split('.');
  const innerTokens = inner.split('.');
  for (let at = 0; at < outerTokens.length; at++) {
    const token = outerTokens[at];
    if (token === '>') return innerTokens.length > at;
    const other = innerTokens[at];
    if (other === undefined || other === '>') return false;
    if (token !== '*' && token !== other) return false;
  }
  return outerTokens.length === innerTokens.length;
}
