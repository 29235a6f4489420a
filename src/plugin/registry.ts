import type { FormatPlugin } from './format.ts';
import type { SinkPlugin } from './sink.ts';
import type { SourcePlugin } from './source.ts';

/** Plug-ins by `type`, each loaded when it is first used: a driver that is not configured is never read from disk. */
export interface Registry {
  readonly sources: Readonly<Record<string, () => Promise<SourcePlugin>>>;
  readonly sinks: Readonly<Record<string, () => Promise<SinkPlugin>>>;
  readonly formats: Readonly<Record<string, () => Promise<FormatPlugin>>>;
  /** Types that are planned: naming one is an error that says so, instead of one that calls it unknown. */
  readonly notYet?: { readonly sources?: readonly string[]; readonly sinks?: readonly string[]; readonly formats?: readonly string[] };
}
