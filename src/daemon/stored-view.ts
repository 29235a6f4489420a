import type { StoredPosition } from '../plugin/source.ts';
import type { StateStore } from '../state/state-store.ts';
import type { ConnectorStatus } from './connector-ports.ts';
import { isFinal } from './lifecycle.ts';

/** What `sluice doctor` is told of a connector's state. */
export interface StoredConnector {
  readonly stored: StoredPosition | null;
  /** Its offset went with damaged state and is not recovered yet. */
  readonly isLost: boolean;
  readonly intent: unknown;
  /** Null: no daemon runs it. */
  readonly status: Pick<ConnectorStatus, 'state' | 'error'> | null;
}

export interface StoredView {
  /** '' = there is no state yet, or it is not known. */
  readonly instance: string;
  readonly connectors: Readonly<Record<string, StoredConnector>>;
}

/** Looks, and writes nothing. */
export async function viewStored(store: StateStore, names: readonly string[], statuses: readonly ConnectorStatus[]): Promise<StoredView> {
  const entries = names.map(async (name): Promise<[string, StoredConnector]> => {
    const { offset, lost, savedMicros } = await store.inspect(name);
    const status = statuses.find((each) => each.name === name) ?? null;
    return [
      name,
      {
        stored:
          offset === null ? null : { position: offset.position, isRead: status !== null && !isFinal(status.state), savedMicros: savedMicros ?? 0 },
        isLost: lost,
        intent: await store.getIntent(name),
        status: status === null ? null : { state: status.state, ...(status.error === undefined ? {} : { error: status.error }) },
      },
    ];
  });
  return { instance: store.instance, connectors: Object.fromEntries(await Promise.all(entries)) };
}
