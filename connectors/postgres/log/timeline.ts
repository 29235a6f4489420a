import { parseLsn } from './position.ts';

/** Where a timeline ended and the next one began. */
export interface TimelineSwitch {
  readonly timeline: string;
  readonly end: bigint;
}

/**
 * Reads a timeline history file as TIMELINE_HISTORY sends it: one line for each ancestor, `timeline TAB switch point TAB reason`, oldest first
 * (`readTimeLineHistory` in the server's sources). Throws an Error on a line that it does not know.
 */
export function parseTimelineHistory(text: string): readonly TimelineSwitch[] {
  const switches: TimelineSwitch[] = [];
  for (const line of text.split('\n')) {
    const content = line.replace(/#.*$/, '').trim();
    if (content === '') continue;
    const parts = /^(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(content);
    const end = parts === null ? null : parseLsn(parts[2] as string);
    if (parts === null || end === null) throw new Error('the timeline history has a line that cannot be read');
    switches.push({ timeline: parts[1] as string, end });
  }
  return switches;
}

export type TimelineVerdict = 'same' | 'continued' | { readonly gap: string };

/**
 * Whether the server's log is a continuation of what was read (algorithms §5). `read` is the end of what was read; `published` the commit LSN (the
 * start of its record) of the last transaction that reached the sink, null = none beyond. On an asynchronous standby that was promoted the log of
 * before was cut at the switch point: what lies beyond it was lost by the failover, and other commits may stand at the same positions.
 */
export function judgeTimeline(
  stored: { readonly timeline: string; readonly read: bigint; readonly published: bigint | null },
  server: { readonly timeline: string; readonly history: readonly TimelineSwitch[] },
): TimelineVerdict {
  if (stored.timeline === server.timeline) return 'same';
  if (BigInt(stored.timeline) > BigInt(server.timeline)) return { gap: 'the server was set back to an earlier timeline' };
  const ended = server.history.find((entry) => entry.timeline === stored.timeline);
  if (ended === undefined) return { gap: 'the timeline of the server does not descend from it' };
  const beyond = stored.read > ended.end || (stored.published !== null && stored.published >= ended.end);
  return beyond ? { gap: 'the failover cut the log before that position: commits that were already published are lost on the server' } : 'continued';
}
