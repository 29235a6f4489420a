/** Names that anybody may see: a password that happens to be the connector's name must not hide it. */
const PUBLIC: ReadonlySet<string> = new Set(['code', 'connector', 'name', 'state', 'table', 'source', 'sink']);

/** An answer as it may leave: every text in it goes through the redaction, before it is serialised (I12). */
export function redacted(value: unknown, redact: (text: string) => string): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map((each) => redacted(each, redact));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, PUBLIC.has(name) && typeof each === 'string' ? each : redacted(each, redact)]),
  );
}
