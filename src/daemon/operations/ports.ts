import type { Argument, Arguments } from '../../http/operation.ts';
import type { Logger } from '../../plugin/context.ts';
import type { Runtime } from '../../plugin/runtime.ts';
import type { StateStore } from '../../state/state-store.ts';
import type { TailPoints } from '../../tail/tail.ts';
import type { Connector } from '../connector.ts';
import type { Fleet } from '../fleet.ts';
import type { StoredConnectors } from '../stored-connectors.ts';

/** What operations work on. */
export interface OperationPorts {
  readonly store: StateStore;
  readonly fleet: Fleet;
  readonly tails: TailPoints;
  readonly stored: StoredConnectors;
  readonly runtime: Runtime;
  readonly log: Logger;
  /** How long what is in flight is waited for where a connector is told to end, milliseconds. */
  readonly patienceMs: number;
}

export const CONNECTOR = { kind: 'string', about: 'Name of the connector; left out: the only one.' } as const satisfies Argument;
export const ONE_OR_ALL = { kind: 'string', about: 'Name of the connector; left out: all.' } as const satisfies Argument;

/** The connector that an operation is about. Throws SLUICE_CONNECTOR_UNKNOWN. */
export function connectorOf({ fleet }: OperationPorts, given: Arguments): Connector {
  return fleet.find(given.given('connector'));
}

export function connectorsOf(ports: OperationPorts, given: Arguments): readonly Connector[] {
  return given.given('connector') === undefined ? ports.fleet.connectors : [connectorOf(ports, given)];
}
