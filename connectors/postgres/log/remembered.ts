/** What stands beside the slot's intent of what was captured last: it survives crashes, and a restart is compared with it. */
import type { Memberships } from './membership.ts';

export interface Remembered {
  /** What the publications held of the captured tables. */
  readonly published: Memberships;
  /** `tables` of the configuration then. */
  readonly patterns: readonly string[];
}

/** Whatever became of the rest: what concerns single tables, by their OIDs. */
export interface Noted {
  /** Tables that this connector has put into its publications: it may take them out again. */
  readonly added: readonly number[];
  /** How often changes of a captured table were dropped, because it had a name that is not captured. */
  readonly left: Readonly<Record<string, number>>;
}

export function remembered(intent: unknown): Remembered | null {
  const { published, patterns = [] } = (intent ?? {}) as Partial<Remembered>;
  return typeof published === 'object' ? { published, patterns } : null;
}

export function noted(intent: unknown): Noted {
  const { added = [], left = {} } = (intent ?? {}) as Partial<Noted>;
  return { added, left };
}

/** Without what was dropped since. */
export function stillThere({ added, left }: Noted, exists: (oid: number) => boolean): Noted {
  return { added: added.filter(exists), left: Object.fromEntries(Object.entries(left).filter(([oid]) => exists(Number(oid)))) };
}

/** Without what the configuration does not name any more. */
export function withoutUnnamed(published: Memberships, matches: (schema: string, name: string) => boolean): Memberships {
  const kept = Object.entries(published).map(([publication, members]) => {
    const named = Object.entries(members).filter(([table]) => matches(...(JSON.parse(table) as [string, string])));
    return [publication, Object.fromEntries(named)] as const;
  });
  return Object.fromEntries(kept);
}
