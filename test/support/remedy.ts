/** SQL as findings print it, for tests that carry it out. */

const STATEMENT = /\b(ALTER|BEGIN|CREATE|DROP|GRANT|REVOKE|SELECT|SET|SHOW)\b/;

/** The statements of a remedy, as a person would copy them: prose in front is left out, and what stands in parentheses behind. Alternatives begin with "or". */
export function statementsOf(remedy: string): string[] {
  const from = remedy.search(STATEMENT);
  if (from < 0) throw new Error(`no statement in: ${remedy}`);
  return remedy
    .slice(from)
    .replace(/ \((or|where|on|and)\b.*$/, '')
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '' && !/^or\b/.test(statement));
}

/** What a remedy of the form `Set "name": {…}` sets, as a person would copy it into the file. */
export function settingsOf(remedy: string): Readonly<Record<string, unknown>> {
  const from = remedy.indexOf('Set "') + 'Set '.length;
  if (from < 'Set '.length) throw new Error(`no setting in: ${remedy}`);
  for (let end = remedy.length; end > from; end--) {
    try {
      return JSON.parse(`{${remedy.slice(from, end)}}`) as Record<string, unknown>;
    } catch {
      // Prose behind it.
    }
  }
  throw new Error(`no setting in: ${remedy}`);
}
